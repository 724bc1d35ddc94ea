"""A writer's folder on disk: its tokenizer, its hash, and clearing it before it is written anew.

The formats are those that transformers, PEFT and vLLM read. The manifest beside them is
`pirta.models.checkpoint`'s.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerFast

from pirta.errors import TrainingError
from pirta.models.checkpoint import MANIFEST_NAME, file_sha256, verify_manifest


def save_tokenizer(tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """Write the tokenizer with its chat template inside `tokenizer_config.json`."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save_pretrained(folder, save_jinja_files=False)


def load_tokenizer(folder: Path) -> Any:
    """Return the tokenizer of a folder, without asking any hub."""
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder, local_files_only=True)


def check_target(folder: Path) -> None:
    """Refuse a folder that must not be overwritten, before the work is done.

    Raises:
        TrainingError: the folder holds something that is not a checkpoint.
    """
    if folder.is_dir() and any(folder.iterdir()) and not (folder / MANIFEST_NAME).is_file():
        raise TrainingError(
            f"{folder} is not empty and holds no checkpoint.",
            remedy="Name another --to folder, or empty this one.",
        )


def clear_folder(folder: Path) -> None:
    """Make an empty folder, removing an earlier checkpoint there and nothing else.

    Raises:
        TrainingError: see `check_target`.
    """
    check_target(folder)
    if folder.is_dir():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)


def base_sha256(folder: Path) -> str:
    """Return the hash of a base model: its manifest's, or that of its weights' bytes.

    Raises:
        CheckpointError: there is a manifest, and the files differ from it.
    """
    if (folder / MANIFEST_NAME).is_file():
        return verify_manifest(folder, kind="writer_base").sha256
    digest = hashlib.sha256()
    for path in sorted([folder / "config.json", *folder.glob("*.safetensors")]):
        digest.update(f"{path.name}:{file_sha256(path)}\n".encode())
    return digest.hexdigest()


def read_json(path: Path) -> dict[str, Any]:
    """Return a JSON object from a file."""
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return content


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write a JSON object for people to read."""
    path.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")
