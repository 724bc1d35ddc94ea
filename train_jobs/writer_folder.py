"""A writer's folder on disk: its tokenizer, its hash, and writing it in one step.

The formats are those that transformers, PEFT and vLLM read. The manifest beside them is
`pirta.models.checkpoint`'s.
"""

from __future__ import annotations

import hashlib
import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerFast

from pirta.errors import PirtaError, TrainingError
from pirta.models.checkpoint import MANIFEST_NAME, CheckpointManifest, file_sha256, verify_manifest


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


@contextmanager
def filled_folder(to: Path) -> Iterator[Path]:
    """Give an empty folder to fill, and put it in the place of `to` once it is filled.

    An earlier checkpoint there is replaced; on an error nothing there changes.

    Raises:
        TrainingError: see `check_target`.
    """
    check_target(to)
    to.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=to.parent, prefix=f".{to.name}-") as temporary:
        filling = Path(temporary) / "new"
        filling.mkdir()
        yield filling
        for path in filling.iterdir():
            path.chmod(0o644)  # safetensors writes for the owner alone
        if to.exists():
            to.replace(Path(temporary) / "old")
        filling.replace(to)


def run_as_command(train: Callable[[], CheckpointManifest]) -> None:
    """Train, and say what came of it; a user's mistake is one line and exit code 2."""
    try:
        manifest = train()
    except PirtaError as error:
        sys.stderr.write(f"{error}\n")
        raise SystemExit(2) from None
    figures = ", ".join(f"{name} {value:.4g}" for name, value in manifest.metrics.items())
    sys.stdout.write(f"{manifest.kind} {manifest.sha256[:12]}: {figures}\n")


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
