"""A job's output folder: is it finished, and the final weights with their manifest.

OUT/weights/        the finished checkpoint: model.safetensors, manifest.json
OUT/checkpoints/    where a killed run goes on from (`train_jobs.checkpoint_store`)
OUT/<name>/         Ray Train's own record, where the run was started with Ray

What else lies there is told in `train_jobs.run_folder` and `train_jobs.run_record`.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from pydantic import ValidationError

from pirta.errors import CheckpointError, TrainingError
from pirta.models.checkpoint import MANIFEST_NAME, CheckpointManifest, verify_manifest
from train_jobs.checkpoint_store import CheckpointStore
from train_jobs.presets import LoopSettings
from train_jobs.run_folder import writing

WEIGHTS_FOLDER = "weights"


def finished(
    out: Path, *, kind: str, settings: LoopSettings, data_sha256: Callable[[], str]
) -> CheckpointManifest | None:
    """Return the manifest of a finished job in this folder, or None where it is not finished.

    Settings that came into being after it was finished count as their defaults.

    Raises:
        TrainingError: the folder holds the finished weights of other settings or data.
        CheckpointError: the finished weights are damaged.
    """
    if not (out / WEIGHTS_FOLDER / MANIFEST_NAME).is_file():
        return None
    manifest = verify_manifest(out / WEIGHTS_FOLDER, kind=kind)
    same = _settings_of(manifest, type(settings)) == settings
    if not same or manifest.data_sha256 != data_sha256():
        other = "data" if same else "settings"
        raise TrainingError(
            f"{out} holds the finished weights of another run ({other} differ).",
            remedy="Name another --out folder.",
        )
    return manifest


def export(
    out: Path,
    checkpoints: CheckpointStore,
    write: Callable[[Path, Path, dict[str, float]], CheckpointManifest],
) -> CheckpointManifest:
    """Write the final weights from the last checkpoint, in one step.

    Args:
        write: gets the checkpoint's files, an empty folder and the figures; fills the folder and
            writes the manifest there.

    Raises:
        TrainingError: training left no checkpoint.
        StoreError: the weights cannot be written; the checkpoints stay.
    """
    last = checkpoints.latest()
    if last is None:
        raise TrainingError(
            f"The run in {out} ended without a checkpoint.",
            remedy="Let it take at least one step.",
        )
    final = out / WEIGHTS_FOLDER
    with (
        writing(final),
        tempfile.TemporaryDirectory(prefix="pirta-state-") as source,
        tempfile.TemporaryDirectory(dir=out, prefix=".weights-") as folder,
    ):
        checkpoints.fetch(last, Path(source))
        filling = Path(folder) / WEIGHTS_FOLDER
        filling.mkdir()
        figures = figures_of({"step": last.step, **last.figures})
        manifest = write(Path(source), filling, figures)
        if final.exists():  # half a checkpoint, or `finished` would have said so
            raise CheckpointError(
                f"{final} exists without a manifest.", remedy="Remove it and run again."
            )
        filling.replace(final)
    return manifest


def figures_of(metrics: Mapping[str, float]) -> dict[str, float]:
    """Return figures as they lie in a manifest."""
    return {name: round(float(value), 5) for name, value in metrics.items()}


def _settings_of(manifest: CheckpointManifest, kind: type[LoopSettings]) -> LoopSettings | None:
    try:
        return kind.model_validate(manifest.run)
    except ValidationError:
        return None
