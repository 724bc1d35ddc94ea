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
from train_jobs.case_source import open_cases
from train_jobs.command import job_main
from train_jobs.drive import drive
from train_jobs.job_folder import export, finished
from train_jobs.loop import run_loop
from train_jobs.presets import TERRITORY_RUNS, TerritoryRun, find_run
from train_jobs.tasks import TerritoryTask, load_mae
from train_jobs.training_pool import load_training_pool, locate
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
    """Run the job, or go on with it, and return the manifest of DIR/weights.

    Args:
        mae: a folder of kind "mae"; None starts from scratch.
        guests: a prepared store of normal brains that take fresh lesions beside the cohort's.
        with_ray: on Ray Train's workers; else in this process, without Ray.
        checkpoints: where they lie, any fsspec address; in `out` where None.

    Raises:
        TrainingError: the folder holds another run, or training failed.
        CheckpointError: the MAE weights do not fit.
        FingerprintError: they were trained on volumes prepared in another way.
        ManifestError: the store cannot be trained on.
    """
    run = settings.model_dump(mode="json")
    store, guests = locate(store), locate(guests) if guests else None
    known = finished(
        out,
        kind=ENCODER_KIND,
        settings=settings,
        data_sha256=lambda: load_training_pool(store, guests).data_sha256,
    )
    if known:
        return known
    if mae is not None:
        load_mae(mae, settings.encoder)  # a wrong one is told here, not by a worker
    with open_cases(store, guests, with_ray=with_ray) as source:
        pool = load_training_pool(store, guests, load=source.load)
        if mae is not None:
            _check_fingerprint(mae, pool.fingerprint)
        config = {
            "settings": run,
            "store": store,
            "guests": guests,
            "data_sha256": pool.data_sha256,
            "mae": str(mae.resolve()) if mae else None,
            "run_dir": str(out.resolve()),
        }
        stored = drive(
            territory_loop,
            config,
            settings=settings,
            run_dir=out,
            name="territory",
            source=source,
            pool=pool,
            checkpoints=checkpoints,
            show=show,
        )
        data_sha256, fingerprint = pool.data_sha256, pool.fingerprint
    origin = ("--guests GUESTS " if guests else "") + ("--mae MAE " if mae else "")

    def write(source: Path, folder: Path, figures: dict[str, float]) -> CheckpointManifest:
        model = TerritoryEncoder(settings.encoder)
        load_weights(source, model)
        return save_encoder(
            folder,
            model,
            run=run,
            data_sha256=data_sha256,
            preprocessing_fingerprint=fingerprint,
            metrics=figures,
            command=f"python -m train_jobs.train_territory --run {settings.name} --data STORE "
            f"{origin}--out DIR",
        )

    return export(out, stored, write)


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
        return train_territory(
            find_run(TERRITORY_RUNS, args.run),
            store=args.data,
            guests=args.guests,
            out=Path(args.out),
            with_ray=not args.without_ray,
            checkpoints=args.checkpoints,
            mae=Path(args.mae) if args.mae else None,
        )

    job_main("Fine-tune the encoder for territories.", run, with_mae=True)


if __name__ == "__main__":
    main()
