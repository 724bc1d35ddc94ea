"""The loop's worker under Ray Train: rank and device from its context, checkpoints reported to it.

The state goes up in Ray's own upload thread, into the run's checkpoint store; Ray's record gets a
small folder that names it. So Ray knows what is done, and a run can be gone on with without Ray.
"""

from __future__ import annotations

import json
import posixpath
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import ray.train
import torch
from ray.train.torch import get_device
from ray.train.v2.api.report_config import CheckpointUploadMode

from train_jobs.checkpoint_store import CheckpointStore
from train_jobs.ray_cases import RayCases
from train_jobs.training_pool import LoadCases
from train_jobs.worker import Worker, publish_and_remove

POINTER_NAME = "stored.json"

WorkerLoop = Callable[[dict[str, Any], Worker], None]


class RayWorker:
    """See `train_jobs.worker.Worker`; `names` are the datasets' names by store."""

    def __init__(self, checkpoints: CheckpointStore, names: Mapping[str, str]) -> None:
        context = ray.train.get_context()
        shards = {store: ray.train.get_dataset_shard(name) for store, name in names.items()}
        self.checkpoints = checkpoints
        self.load_cases: LoadCases = RayCases(shards)
        self.rank: int = context.get_world_rank()
        self.world: int = context.get_world_size()
        self.device: torch.device = get_device()
        self._storage: Any = context.get_storage()

    def report(self, step: int, figures: Mapping[str, float], folder: Path | None) -> None:
        """See `Worker`: a failed upload ends the worker, and Ray Train may start it again."""
        metrics = {"step": step, **figures}
        if folder is None:
            ray.train.report(metrics)
            return

        def upload(_: ray.train.Checkpoint, name: str) -> ray.train.Checkpoint:
            publish_and_remove(self.checkpoints, folder, step, figures)
            return self._pointer(name, step)

        ray.train.report(
            metrics,
            checkpoint=ray.train.Checkpoint.from_directory(str(folder)),
            checkpoint_upload_mode=CheckpointUploadMode.ASYNC,
            delete_local_checkpoint_after_upload=False,  # `publish_and_remove` does, come what may
            checkpoint_upload_fn=upload,
        )

    def _pointer(self, name: str, step: int) -> ray.train.Checkpoint:
        """Write what Ray keeps of a checkpoint: its step."""
        path = posixpath.join(self._storage.experiment_fs_path, name)
        filesystem = self._storage.storage_filesystem
        filesystem.create_dir(path)
        with filesystem.open_output_stream(posixpath.join(path, POINTER_NAME)) as stream:
            stream.write(json.dumps({"step": step}).encode())
        return ray.train.Checkpoint(path, filesystem)


def on_ray(
    loop: WorkerLoop,
    checkpoints: CheckpointStore,
    names: Mapping[str, str],
    config: dict[str, Any],
) -> None:
    """Run a loop on this Ray Train worker; the driver fixes all arguments but the last.

    Args:
        names: of the datasets, by store.
    """
    loop(config, RayWorker(checkpoints, names))
