"""Run a job's loop with Ray Train, or in this process without it: the same run either way.

Both keep their checkpoints in one store and their record in one folder, so that either goes on
where the other was killed. Without Ray nothing of it is imported.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch

from pirta.errors import TrainingError
from train_jobs.case_source import CaseSource
from train_jobs.checkpoint_store import CHECKPOINTS_FOLDER, CheckpointStore
from train_jobs.presets import LoopSettings
from train_jobs.progress import ProgressFollower, show_on_stderr
from train_jobs.run_folder import (
    claim_run_dir,
    draw_curves,
    note_session,
    write_data_manifest,
)
from train_jobs.training_pool import TrainingPool, load_pool
from train_jobs.worker import PlainWorker, Worker


def drive(
    loop: Callable[[dict[str, Any], Worker], None],
    config: dict[str, Any],
    *,
    settings: LoopSettings,
    run_dir: Path,
    name: str,
    source: CaseSource,
    pool: TrainingPool,
    checkpoints: str | None = None,
    show: Callable[[str], None] | None = None,
) -> CheckpointStore:
    """Run `loop(config, worker)` to its end, or go on with it, and return its checkpoints.

    Args:
        config: what tells two runs apart, JSON values only.
        source: of the cases; says too whether Ray drives the run.
        pool: what the run learns from, for its record.
        checkpoints: any fsspec address; a folder of the run where None.
        show: gets a line of progress at a time; standard error where None.

    Raises:
        TrainingError: the folder holds another run, or training failed for good.
    """
    claim_run_dir(run_dir, config, name=name, resume=True)
    # Only recorded here: the stage itself refuses labels that it needs and nobody stated.
    held_out = load_pool(
        config["store"], split="val", required=False, labelled=False, load=source.load
    )
    write_data_manifest(
        run_dir,
        {"train": pool.cases, "guests": pool.guests, "val": held_out.cases},
        data_sha256=pool.data_sha256,
        fingerprint=pool.fingerprint,
    )
    note_session(run_dir, with_ray=source.with_ray)
    store = CheckpointStore(
        checkpoints or str(run_dir.resolve() / CHECKPOINTS_FOLDER),
        best_by=settings.best_by or None,
        lowest=settings.best_is_lowest,
    )
    if source.with_ray:
        _with_ray(loop, config, store, settings, source, run_dir=run_dir, name=name, show=show)
    else:
        device = torch.device("cuda" if settings.use_gpu else "cpu")
        if settings.use_gpu and not torch.cuda.is_available():
            raise TrainingError(
                "The run asks for a GPU, and torch sees none.",
                remedy="Name a run for the CPU (demo), or install torch for this GPU.",
            )
        with (
            ProgressFollower(run_dir, show or show_on_stderr),
            PlainWorker(store, source.load, device=device) as worker,
        ):
            loop(config, worker)
    draw_curves(run_dir)
    return store


def _with_ray(
    loop: Callable[[dict[str, Any], Worker], None],
    config: dict[str, Any],
    store: CheckpointStore,
    settings: LoopSettings,
    source: CaseSource,
    *,
    run_dir: Path,
    name: str,
    show: Callable[[str], None] | None,
) -> None:
    from train_jobs.launch import SNAPSHOT_NAME, launch
    from train_jobs.ray_worker import on_ray

    # The loop finds its checkpoints in the store: Ray's list of an earlier session says nothing
    # more, and a kill may have left half of it.
    (run_dir / name / SNAPSHOT_NAME).unlink(missing_ok=True)
    launch(
        partial(on_ray, loop, store, source.names),
        config,
        run_dir=run_dir,
        name=name,
        num_workers=settings.num_workers,
        use_gpu=settings.use_gpu,
        resume=True,
        max_failures=settings.max_failures,
        datasets=source.datasets,
        show=show,
    )
