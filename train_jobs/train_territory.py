"""Stage 2: `python -m train_jobs.train_territory --run demo --data STORE --mae MAE --out DIR`.

Fine-tunes the encoder for the four territory classes on a prepared store, from the weights of
stage 1 (MAE, a job's DIR/weights) or from scratch. Repeat the command to go on after a kill.
DIR/weights holds the result, of kind "encoder": what Serve loads.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pirta.errors import FingerprintError
from pirta.models.checkpoint import CheckpointManifest, read_manifest
from pirta.models.encoder import TerritoryEncoder
from pirta.models.runtime import ENCODER_KIND, save_encoder
from pirta.models.weights import load_weights
from train_jobs.command import job_main, place_of
from train_jobs.encoder_job import EncoderJob, JobPlace, Origin, run_job
from train_jobs.loop import run_loop
from train_jobs.presets import TERRITORY_RUNS, TerritoryRun, find_run
from train_jobs.tasks import TerritoryTask, load_mae
from train_jobs.training_pool import LoadCases, TrainingPool, load_training_pool
from train_jobs.tuned_patients import read_tuned, write_tuned
from train_jobs.worker import Worker


def train_territory(
    settings: TerritoryRun,
    *,
    store: str,
    out: Path,
    mae: Path | None,
    guests: str | None = None,
    with_ray: bool = True,
    checkpoints: str | None = None,
    show: Callable[[str], None] | None = None,
) -> CheckpointManifest:
    """Run the job, or go on with it, and return the manifest of OUT/weights.

    The other arguments are those of `encoder_job.JobPlace`.

    Args:
        mae: a folder of kind "mae"; None starts from scratch.

    Raises:
        TrainingError: the folder holds another run, or training failed.
        CheckpointError: the MAE weights do not fit.
        FingerprintError: they were trained on volumes prepared in another way.
        ManifestError: the store cannot be trained on.
    """
    place = JobPlace(store, out, guests, with_ray, checkpoints, show)
    return run_job(_job(settings, mae), place)


def _job(settings: TerritoryRun, mae: Path | None) -> EncoderJob:
    def load_pool(store: str, guests: str | None, *, load: LoadCases | None) -> TrainingPool:
        if mae is not None:  # a wrong one is told here, not by a worker
            load_mae(mae, settings.encoder)
        pool = load_training_pool(store, guests, load=load)
        if mae is not None:
            _check_fingerprint(mae, pool.fingerprint)
        return pool

    def write(files: Path, folder: Path, origin: Origin) -> CheckpointManifest:
        model = TerritoryEncoder(settings.encoder)
        load_weights(files, model)
        pretrained = read_tuned(mae) if mae is not None else None
        write_tuned(folder, origin.patients | (pretrained or frozenset()))
        return save_encoder(
            folder,
            model,
            run=origin.run,
            data_sha256=origin.data_sha256,
            preprocessing_fingerprint=origin.fingerprint,
            metrics=origin.metrics,
            command=origin.command,
        )

    inputs = {"mae": str(mae.resolve()) if mae else None}
    return EncoderJob("territory", ENCODER_KIND, settings, territory_loop, load_pool, write, inputs)


def territory_loop(config: dict[str, Any], worker: Worker) -> None:
    """What each worker runs."""
    settings = TerritoryRun.model_validate(config["settings"])
    mae = Path(config["mae"]) if config["mae"] else None
    task = TerritoryTask(settings, config["store"], mae, config["guests"], load=worker.load_cases)
    run_loop(task, settings, worker, run_dir=Path(config["run_dir"]))


def _check_fingerprint(mae: Path, fingerprint: str) -> None:
    known = read_manifest(mae).preprocessing_fingerprint
    if known != fingerprint:
        raise FingerprintError(
            f"The MAE checkpoint was trained on volumes prepared as {known}, the training store "
            f"was prepared as {fingerprint}.",
            remedy="Pretrain on a store of the same settings, or prepare the store again.",
        )


def main() -> None:
    """The command line."""

    def run(args: argparse.Namespace) -> CheckpointManifest:
        mae = Path(args.mae) if args.mae else None
        return run_job(_job(find_run(TERRITORY_RUNS, args.run), mae), place_of(args))

    job_main("Fine-tune the encoder for territories.", run, with_mae=True)


if __name__ == "__main__":
    main()
