"""A job's output folder: is it finished, and the final weights with their manifest.

OUT/weights/        the finished checkpoint: model.safetensors, manifest.json
OUT/<name>/         Ray Train's checkpoints; run.json and progress.jsonl lie beside them
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pirta.errors import CheckpointError, TrainingError
from pirta.models.checkpoint import MANIFEST_NAME, CheckpointManifest, verify_manifest

if TYPE_CHECKING:
    from ray.train import Result

WEIGHTS_FOLDER = "weights"


def finished(
    out: Path, *, kind: str, run: Mapping[str, Any], data_sha256: str
) -> CheckpointManifest | None:
    """Return the manifest of a finished job in this folder, or None where it is not finished.

    Raises:
        TrainingError: the folder holds the finished weights of other settings or data.
        CheckpointError: the finished weights are damaged.
    """
    if not (out / WEIGHTS_FOLDER / MANIFEST_NAME).is_file():
        return None
    manifest = verify_manifest(out / WEIGHTS_FOLDER, kind=kind)
    if manifest.run != dict(run) or manifest.data_sha256 != data_sha256:
        other = "settings" if manifest.run != dict(run) else "data"
        raise TrainingError(
            f"{out} holds the finished weights of another run ({other} differ).",
            remedy="Name another --out folder.",
        )
    return manifest


def export(
    out: Path, result: Result, write: Callable[[Path, Path], CheckpointManifest]
) -> CheckpointManifest:
    """Write the final weights from the last checkpoint, in one step.

    Args:
        write: gets Ray's checkpoint folder and an empty one, fills the latter and writes the
            manifest there.

    Raises:
        TrainingError: training reported no checkpoint.
    """
    if result.checkpoint is None:
        raise TrainingError(
            f"The run in {out} ended without a checkpoint.",
            remedy="Let it take at least one step.",
        )
    final = out / WEIGHTS_FOLDER
    with (
        result.checkpoint.as_directory() as source,
        tempfile.TemporaryDirectory(dir=out, prefix=".weights-") as folder,
    ):
        filling = Path(folder) / WEIGHTS_FOLDER
        filling.mkdir()
        manifest = write(Path(source), filling)
        if final.exists():  # half a checkpoint, or `finished` would have said so
            raise CheckpointError(
                f"{final} exists without a manifest.", remedy="Remove it and run again."
            )
        filling.replace(final)
    return manifest


def figures_of(metrics: Mapping[str, Any] | None) -> dict[str, float]:
    """Return what Ray reported last, numbers only."""
    return {
        name: round(float(value), 5)
        for name, value in (metrics or {}).items()
        if isinstance(value, (int, float)) and not isinstance(value, bool)
    }
