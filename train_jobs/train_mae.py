"""Stage 1: `python -m train_jobs.train_mae --run demo --data STORE --out DIR`.

Pretrains the encoder's body on a prepared store by masked autoencoding. Repeat the command to
go on after a kill. DIR/weights holds the result, of kind "mae".
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from pirta.models.checkpoint import CheckpointManifest, write_manifest
from pirta.models.weights import load_weights, save_weights
from train_jobs.command import job_main, place_of
from train_jobs.encoder_job import EncoderJob, JobPlace, Origin, run_job
from train_jobs.loop import run_loop
from train_jobs.presets import MAE_RUNS, MaeRun, find_run
from train_jobs.tasks import MAE_KIND, MaeTask, make_mae
from train_jobs.training_pool import LoadCases, TrainingPool, limited, load_training_pool
from train_jobs.tuned_patients import write_tuned
from train_jobs.worker import Worker


def train_mae(
    settings: MaeRun,
    *,
    store: str,
    out: Path,
    guests: str | None = None,
    with_ray: bool = True,
    checkpoints: str | None = None,
    show: Callable[[str], None] | None = None,
) -> CheckpointManifest:
    """Run the job, or go on with it, and return the manifest of OUT/weights.

    The arguments are those of `encoder_job.JobPlace`.

    Raises:
        TrainingError: the folder holds another run, or training failed.
        ManifestError: the store cannot be trained on.
    """
    return run_job(_job(settings), JobPlace(store, out, guests, with_ray, checkpoints, show))


def _job(settings: MaeRun) -> EncoderJob:
    def load_pool(store: str, guests: str | None, *, load: LoadCases | None) -> TrainingPool:
        pool = load_training_pool(store, guests, labelled=False, load=load)
        return limited(pool, settings.num_volumes)

    def write(files: Path, folder: Path, origin: Origin) -> CheckpointManifest:
        model = make_mae(settings)
        load_weights(files, model)
        save_weights(folder, model, half=True)
        write_tuned(folder, origin.patients)
        return write_manifest(
            folder,
            kind=MAE_KIND,
            config=settings.encoder.model_dump(mode="json"),
            run=origin.run,
            data_sha256=origin.data_sha256,
            preprocessing_fingerprint=origin.fingerprint,
            metrics=origin.metrics,
            command=origin.command,
        )

    return EncoderJob("mae", MAE_KIND, settings, mae_loop, load_pool, write)


def mae_loop(config: dict[str, Any], worker: Worker) -> None:
    """What each worker runs."""
    settings = MaeRun.model_validate(config["settings"])
    run_loop(
        MaeTask(settings, config["store"], config["guests"], load=worker.load_cases),
        settings,
        worker,
        run_dir=Path(config["run_dir"]),
    )


def main() -> None:
    """The command line."""
    job_main(
        "Pretrain the encoder by masked autoencoding.",
        lambda args: run_job(_job(find_run(MAE_RUNS, args.run)), place_of(args)),
    )


if __name__ == "__main__":
    main()
