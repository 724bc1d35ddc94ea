"""The manifest beside every checkpoint: what its files are, and where they come from.

A checkpoint is a folder with `manifest.json` and weights as safetensors. The manifest names
every other file with its sha256, so that damage, a swapped file or a checkpoint of another
kind is found before a weight is loaded. It does not know how to build or load a model.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from pirta.errors import CheckpointError

MANIFEST_NAME = "manifest.json"

# Formats that can run code when they are read.
_FORBIDDEN_SUFFIXES = frozenset({".pt", ".pth", ".bin", ".ckpt", ".pkl", ".pickle", ".npz"})
_CHUNK_BYTES = 1 << 20


class CheckpointManifest(BaseModel):
    """What a checkpoint is made of, and what it was made with.

    Attributes:
        kind: "encoder", "mae", "writer_base", "writer_adapter".
        files: name within the folder (POSIX) to sha256 in hex.
        config: what is needed to build the model.
        run: the settings of the training run.
        data_sha256: over what it was trained on.
        preprocessing_fingerprint: of the volumes it was trained on; None for text models.
        metrics: figures measured on held-out data, by name.
        command: how to make it again.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: str
    files: dict[str, str]
    config: dict[str, Any]
    run: dict[str, Any]
    commit: str
    data_sha256: str
    preprocessing_fingerprint: str | None
    metrics: dict[str, float]
    command: str

    @property
    def sha256(self) -> str:
        """The hash of the whole content: two checkpoints are the same where this is the same."""
        content = json.dumps(self.model_dump(mode="json"), sort_keys=True, ensure_ascii=True)
        return hashlib.sha256(content.encode()).hexdigest()


def write_manifest(
    folder: Path,
    *,
    kind: str,
    config: Mapping[str, Any],
    run: Mapping[str, Any],
    data_sha256: str,
    preprocessing_fingerprint: str | None,
    metrics: Mapping[str, float],
    command: str,
) -> CheckpointManifest:
    """Hash every other file of the folder and write `manifest.json` in one step.

    Raises:
        CheckpointError: the folder holds no file, or one in a format that can run code.
    """
    names = _file_names(folder)
    if not names:
        raise CheckpointError(
            f"The checkpoint folder {folder} holds no files.",
            remedy="Write the weights first, then the manifest.",
        )
    unsafe = [name for name in names if Path(name).suffix in _FORBIDDEN_SUFFIXES]
    if unsafe:
        raise CheckpointError(
            f"The checkpoint folder {folder} holds {', '.join(unsafe)}.",
            remedy="Store weights as safetensors: other formats can run code when read.",
        )
    manifest = CheckpointManifest(
        kind=kind,
        files={name: file_sha256(folder / name) for name in names},
        config=dict(config),
        run=dict(run),
        commit=current_commit(Path(__file__).parent),
        data_sha256=data_sha256,
        preprocessing_fingerprint=preprocessing_fingerprint,
        metrics=dict(metrics),
        command=command,
    )
    temporary = folder / f".{MANIFEST_NAME}.{os.getpid()}"
    temporary.write_text(manifest.model_dump_json(indent=2) + "\n", encoding="utf-8")
    temporary.replace(folder / MANIFEST_NAME)
    return manifest


def read_manifest(folder: Path) -> CheckpointManifest:
    """Return the folder's manifest without looking at the files it names.

    Raises:
        CheckpointError: there is none, or it cannot be understood.
    """
    path = folder / MANIFEST_NAME
    if not path.is_file():
        raise CheckpointError(
            f"There is no checkpoint in {folder}: {MANIFEST_NAME} is missing.",
            remedy="Name the folder of a finished training job.",
        )
    try:
        return CheckpointManifest.model_validate_json(path.read_text(encoding="utf-8"))
    except (ValidationError, UnicodeDecodeError) as error:
        raise CheckpointError(
            f"{path} is not a checkpoint manifest ({type(error).__name__}).",
            remedy="Copy the checkpoint again from where it was made.",
        ) from None


def verify_manifest(folder: Path, *, kind: str) -> CheckpointManifest:
    """Return the folder's manifest after checking every file it names.

    Raises:
        CheckpointError: the manifest is missing or of another kind, or a file is missing or
            differs from its hash.
    """
    manifest = read_manifest(folder)
    if manifest.kind != kind:
        raise CheckpointError(
            f"The checkpoint in {folder} is of kind '{manifest.kind}', not '{kind}'.",
            remedy=f"Name the folder of a checkpoint of kind '{kind}'.",
        )
    for name, expected in manifest.files.items():
        path = folder / name
        if not path.is_file():
            raise CheckpointError(
                f"The checkpoint in {folder} lacks its file '{name}'.",
                remedy="Copy the checkpoint again from where it was made.",
            )
        found = file_sha256(path)
        if found != expected:
            raise CheckpointError(
                f"'{name}' in {folder} has sha256 {found[:12]}…, the manifest says "
                f"{expected[:12]}….",
                remedy="The file was changed or damaged: copy the checkpoint again.",
            )
    return manifest


def file_sha256(path: Path) -> str:
    """Return the hex sha256 of a file's bytes."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def current_commit(repo: Path) -> str:
    """Return the commit that `repo` stands at, or "unknown" outside git."""
    try:
        answer = subprocess.run(
            ["git", "rev-parse", "HEAD"],
            cwd=repo,
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    return answer.stdout.strip() if answer.returncode == 0 else "unknown"


def _file_names(folder: Path) -> list[str]:
    paths = (path for path in folder.rglob("*") if path.is_file())
    names = (path.relative_to(folder).as_posix() for path in paths)
    return sorted(
        name for name in names if name != MANIFEST_NAME and not Path(name).name.startswith(".")
    )
