"""What the loop knows of where it runs, and the plain case: one process, torch and no Ray.

A driver starts the loop on each of its workers and hands it a `Worker`. Checkpoints go up in a
thread beside the training; a failed upload ends the run at the next report.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

import torch

from train_jobs.checkpoint_store import CheckpointStore
from train_jobs.training_pool import LoadCases


class Worker(Protocol):
    """One of the processes that train together.

    Attributes:
        rank: 0 writes; each takes its pieces of a step's batch.
        world: how many there are.
        device: where the network goes.
        checkpoints: where the run goes on from.
        load_cases: brings the store's cases.
    """

    @property
    def rank(self) -> int: ...

    @property
    def world(self) -> int: ...

    @property
    def device(self) -> torch.device: ...

    @property
    def checkpoints(self) -> CheckpointStore: ...

    @property
    def load_cases(self) -> LoadCases: ...

    def report(self, step: int, figures: Mapping[str, float], folder: Path | None) -> None:
        """Tell a step; rank 0 brings the state's folder, which is removed once it is stored.

        Every rank has to call it equally often.

        Raises:
            StoreError: an earlier checkpoint could not be stored.
        """


class PlainWorker:
    """The only process of a run, or one of a group that was joined before.

    A context manager: at the end of the block every checkpoint is stored.
    """

    def __init__(
        self,
        checkpoints: CheckpointStore,
        load_cases: LoadCases,
        *,
        device: torch.device,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        self.checkpoints = checkpoints
        self.load_cases = load_cases
        self.device = device
        self.rank = rank
        self.world = world
        self._uploads = ThreadPoolExecutor(1, thread_name_prefix="checkpoint")
        self._last: Future[None] | None = None

    def report(self, step: int, figures: Mapping[str, float], folder: Path | None) -> None:
        """See `Worker`; waits for the upload before this one."""
        if folder is None:
            return
        if self._last is not None:
            self._last.result()
        self._last = self._uploads.submit(
            publish_and_remove, self.checkpoints, folder, step, dict(figures)
        )

    def __enter__(self) -> PlainWorker:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._uploads.shutdown(wait=True)
        if kind is None and self._last is not None:
            self._last.result()


def publish_and_remove(
    checkpoints: CheckpointStore, folder: Path, step: int, figures: Mapping[str, float]
) -> None:
    """Store a state's folder, and remove it whatever came of that.

    Raises:
        StoreError: it cannot be stored.
    """
    try:
        checkpoints.publish(folder, step=step, figures=figures)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
