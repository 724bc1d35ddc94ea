"""A run's checkpoints below any fsspec address: whole or not there, the last and the best kept.

    ROOT/step-00000120/model.safetensors …     what a state's folder held
    ROOT/step-00000120/complete.json           step, figures, each file's sha256; written last

A folder without `complete.json` is no checkpoint: a kill or a full disk leaves the ones before it
as they were. Both drivers of the loop keep their checkpoints here, so that a run begun with Ray
goes on without it. It knows files, not what is in them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pirta.cohort.store_files import join, names_in, open_filesystem, read_whole, remove, whole_file
from pirta.cohort.store_files import write_whole as write_bytes
from pirta.errors import CheckpointError
from pirta.models.checkpoint import file_sha256
from pirta.storage_errors import storage_errors

CHECKPOINTS_FOLDER = "checkpoints"
COMPLETE_NAME = "complete.json"

_PREFIX = "step-"
_CHUNK_BYTES = 1 << 22


@dataclass(frozen=True)
class StoredCheckpoint:
    """One complete checkpoint.

    Attributes:
        name: of its folder.
        step: steps that were done.
        figures: measured on held-out cases at that step.
        files: name to sha256.
    """

    name: str
    step: int
    figures: dict[str, float]
    files: dict[str, str]


@dataclass(frozen=True)
class CheckpointStore:
    """Checkpoints below `root`.

    Attributes:
        best_by: the figure that tells the best one; None keeps the last alone.
        lowest: a lower figure is the better one.
        num_last: how many of the latest are kept.
    """

    root: str
    best_by: str | None = None
    lowest: bool = False
    num_last: int = 2

    def publish(self, folder: Path, *, step: int, figures: Mapping[str, float]) -> str:
        """Put a folder's files into the store, forget older ones, and return the name.

        Raises:
            StoreError: it cannot be written; the complete checkpoints stay.
        """
        name = f"{_PREFIX}{step:08d}"
        remove(join(self.root, name, COMPLETE_NAME))
        paths = sorted(path for path in folder.iterdir() if path.is_file())
        for path in paths:
            with whole_file(join(self.root, name, path.name)) as target, path.open("rb") as source:
                while chunk := source.read(_CHUNK_BYTES):
                    target.write(chunk)
        content = {
            "step": step,
            "figures": dict(figures),
            "files": {path.name: file_sha256(path) for path in paths},
        }
        write_bytes(join(self.root, name, COMPLETE_NAME), json.dumps(content, indent=2).encode())
        self._forget(self.complete())
        return name

    def complete(self) -> list[StoredCheckpoint]:
        """Return every complete checkpoint, by step."""
        found = []
        for name in names_in(self.root):
            if name.startswith(_PREFIX):
                data = read_whole(join(self.root, name, COMPLETE_NAME))
                if data is not None:
                    found.append(_parse(name, data))
        return sorted(found, key=lambda one: one.step)

    def latest(self) -> StoredCheckpoint | None:
        """Return the checkpoint to go on from."""
        known = self.complete()
        return known[-1] if known else None

    def best(self) -> StoredCheckpoint | None:
        """Return the checkpoint with the best figure, the latest of equals; None: none has it."""
        return self._best(self.complete())

    def fetch(self, checkpoint: StoredCheckpoint, into: Path) -> None:
        """Copy a checkpoint's files into a folder, and check them.

        Raises:
            CheckpointError: a file is missing or differs from its hash.
        """
        for name, expected in checkpoint.files.items():
            filesystem, inside = open_filesystem(join(self.root, checkpoint.name, name))
            try:
                filesystem.get_file(inside, str(into / name))
            except storage_errors() as error:
                raise _damaged(checkpoint, f"'{name}': {type(error).__name__}") from None
            if file_sha256(into / name) != expected:
                raise _damaged(checkpoint, f"'{name}' has another sha256")

    def _best(self, known: list[StoredCheckpoint]) -> StoredCheckpoint | None:
        if self.best_by is None:
            return None
        sign = -1.0 if self.lowest else 1.0
        scored = [
            (sign * one.figures[self.best_by], one.step, one)
            for one in known
            if math.isfinite(one.figures.get(self.best_by, math.nan))
        ]
        return max(scored, key=lambda score: score[:2])[2] if scored else None

    def _forget(self, known: list[StoredCheckpoint]) -> None:
        kept = {one.name for one in known[-self.num_last :]}
        best = self._best(known)
        for one in known:
            if one.name not in kept and one != best:
                # Its mark goes first: what is half removed is no checkpoint.
                remove(join(self.root, one.name, COMPLETE_NAME))
                remove(join(self.root, one.name))


def _parse(name: str, data: bytes) -> StoredCheckpoint:
    try:
        content = json.loads(data)
        return StoredCheckpoint(
            name=name,
            step=int(content["step"]),
            figures={key: float(value) for key, value in content["figures"].items()},
            files={str(key): str(value) for key, value in content["files"].items()},
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        raise CheckpointError(
            f"The checkpoint {name} has an unreadable {COMPLETE_NAME}.",
            remedy="Remove that folder: the run goes on from the checkpoint before it.",
        ) from None


def _damaged(checkpoint: StoredCheckpoint, what: str) -> CheckpointError:
    return CheckpointError(
        f"The checkpoint {checkpoint.name} of this run is damaged ({what}).",
        remedy="Remove that folder: the run goes on from the checkpoint before it.",
    )
