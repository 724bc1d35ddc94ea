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
from train_jobs.case_source import open_cases
from train_jobs.command import job_main
from train_jobs.drive import drive
from train_jobs.job_folder import export, finished
from train_jobs.loop import run_loop
from train_jobs.presets import MAE_RUNS, MaeRun, find_run
from train_jobs.tasks import MAE_KIND, MaeTask, make_mae
from train_jobs.training_pool import limited, load_training_pool, locate
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
    """Run the job, or go on with it, and return the manifest of DIR/weights.

    Args:
        guests: a prepared store of normal brains that join the training cohort's.
        with_ray: on Ray Train's workers; else in this process, without Ray.
        checkpoints: where they lie, any fsspec address; in `out` where None.

    Raises:
        TrainingError: the folder holds another run, or training failed.
        ManifestError: the store cannot be trained on.
    """
    run = settings.model_dump(mode="json")
    store, guests = locate(store), locate(guests) if guests else None
    known = finished(
        out,
        kind=MAE_KIND,
        settings=settings,
        data_sha256=lambda: (
            limited(load_training_pool(store, guests), settings.num_volumes).data_sha256
        ),
    )
    if known:
        return known
    with open_cases(store, guests, with_ray=with_ray) as source:
        pool = limited(load_training_pool(store, guests, load=source.load), settings.num_volumes)
        config = {
            "settings": run,
            "store": store,
            "guests": guests,
            "data_sha256": pool.data_sha256,
            "run_dir": str(out.resolve()),
        }
        stored = drive(
            mae_loop,
            config,
            settings=settings,
            run_dir=out,
            name="mae",
            source=source,
            pool=pool,
            checkpoints=checkpoints,
            show=show,
        )
        data_sha256, fingerprint = pool.data_sha256, pool.fingerprint

    def write(source: Path, folder: Path, figures: dict[str, float]) -> CheckpointManifest:
        model = make_mae(settings)
        load_weights(source, model)
        save_weights(folder, model, half=True)
        return write_manifest(
            folder,
            kind=MAE_KIND,
            config=settings.encoder.model_dump(mode="json"),
            run=run,
            data_sha256=data_sha256,
            preprocessing_fingerprint=fingerprint,
            metrics=figures,
            command=f"python -m train_jobs.train_mae --run {settings.name} --data STORE "
            f"{'--guests GUESTS ' if guests else ''}--out DIR",
        )

    return export(out, stored, write)


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
        lambda args: train_mae(
            find_run(MAE_RUNS, args.run),
            store=args.data,
            guests=args.guests,
            out=Path(args.out),
            with_ray=not args.without_ray,
            checkpoints=args.checkpoints,
        ),
    )


if __name__ == "__main__":
    main()
