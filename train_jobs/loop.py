"""The one training loop of the encoder's jobs: torch alone, whoever started it.

It knows steps, pieces, the optimizer, checkpoints and the record; what is learnt is a `Task`,
where it runs is a `Worker`. A step's batch, its masks and its rate follow from (seed, step,
piece), so that a run that was killed goes the same way on, on as many workers as there are then.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from safetensors import SafetensorError
from torch import Tensor, distributed, nn
from torch.utils.data import DataLoader

from pirta.errors import StoreError, TrainingError
from pirta.models.runtime import fastest_precision
from pirta.models.weights import load_weights
from train_jobs.data import Batch, StepBatches
from train_jobs.optimizer import make_optimizer, rate, set_rate
from train_jobs.parallel import gradients_kept, pieces_of, wrap
from train_jobs.presets import LoopSettings
from train_jobs.run_record import RunRecord
from train_jobs.state import gather_state, load_moments, write_state
from train_jobs.worker import Worker


class Task(Protocol):
    """What is learnt."""

    @property
    def model(self) -> nn.Module:
        """The network; `loss` gets it back wrapped where there are several workers."""

    def batches(self) -> StepBatches:
        """Return the pieces of every step's batch."""

    def loss(self, model: nn.Module, batch: Batch) -> tuple[Tensor, dict[str, float]]:
        """Return a batch's loss and figures for people."""

    def validate(self) -> dict[str, float]:
        """Return figures on held-out cases; empty where there are none."""


def run_loop(task: Task, settings: LoopSettings, worker: Worker, *, run_dir: Path) -> None:
    """Train until the last step, from the last complete checkpoint if there is one.

    Raises:
        TrainingError: the run cannot go on: nothing can be written any more, the loss is no
            number, or the pieces cannot be shared out among the workers.
        CheckpointError: the last checkpoint is damaged or of another network.
    """
    torch.set_num_threads(settings.num_threads)
    try:
        _Loop(task, settings, worker, run_dir).run()
    except (OSError, SafetensorError, StoreError) as error:
        raise _unwritable(error) from error


class _Loop:
    """A run's network, optimizer and record, from a step on."""

    def __init__(self, task: Task, settings: LoopSettings, worker: Worker, run_dir: Path) -> None:
        self._task = task
        self._settings = settings
        self._worker = worker
        self._pieces = pieces_of(settings, rank=worker.rank, world=worker.world)
        fastest = fastest_precision(worker.device.type)
        self._is_half = settings.use_bf16 and fastest == "bfloat16"
        task.model.to(worker.device)
        with tempfile.TemporaryDirectory(prefix="pirta-restore-") as name:
            folder = Path(name)
            checkpoint = worker.checkpoints.latest()
            if checkpoint is not None:
                worker.checkpoints.fetch(checkpoint, folder)
                load_weights(folder, task.model)
            self._model = wrap(task.model, settings, world=worker.world)
            self._optimizer = make_optimizer(task.model, settings)
            self._first = 0
            if checkpoint is not None:
                self._first = load_moments(folder, task.model, self._optimizer)
        self._record = (
            RunRecord(run_dir, settings, first_step=self._first) if worker.rank == 0 else None
        )

    def run(self) -> None:
        """Take every step that is left."""
        settings = self._settings
        batches = _stream(self._task.batches(), settings, self._first, self._pieces)
        for step in range(self._first, settings.num_steps):
            started = time.perf_counter()
            figures, waited_s = self._step(step, batches)
            done = step + 1
            if self._record:
                taken_s = time.perf_counter() - started
                self._record.add(
                    done,
                    figures,
                    learning_rate=rate(settings, step),
                    step_s=taken_s,
                    waiting_share=waited_s / taken_s,
                )
            if done % settings.save_every_steps == 0 or done == settings.num_steps:
                self._report(done)
        if self._record:
            self._record.close()

    def _step(self, step: int, batches: Iterator[Batch]) -> tuple[dict[str, float], float]:
        """Return the step's figures over all workers, and how long this one waited for data."""
        settings, sums, waited_s = self._settings, dict[str, float](), 0.0
        set_rate(self._optimizer, settings, step)
        self._model.train()
        for piece in self._pieces:
            started = time.perf_counter()
            batch = next(batches)
            waited_s += time.perf_counter() - started
            torch.manual_seed(seed_of(settings.seed, step, piece))
            with gradients_kept(self._model, synced=piece == self._pieces[-1]):
                figures = self._backward(_to_device(batch, self._worker.device))
            for name, value in figures.items():
                sums[name] = sums.get(name, 0.0) + value / settings.num_pieces
        totals = _over_workers(sums, self._worker)
        if not np.isfinite(totals["loss"]):
            raise TrainingError(
                f"The loss of step {step + 1} is {totals['loss']}.",
                remedy="Lower the learning rate, or warm up for longer, in another --out folder.",
            )
        nn.utils.clip_grad_norm_(self._model.parameters(), settings.clip_norm)
        self._optimizer.step()
        self._optimizer.zero_grad(set_to_none=True)
        return totals, waited_s

    def _backward(self, batch: Batch) -> dict[str, float]:
        """Add a piece's share to the gradients."""
        # Workers' gradients are averaged: this makes it the mean over all the pieces.
        share = self._worker.world / self._settings.num_pieces
        with torch.autocast(self._worker.device.type, torch.bfloat16, enabled=self._is_half):
            loss, figures = self._task.loss(self._model, batch)
        (share * loss).backward()  # type: ignore[no-untyped-call]
        return {"loss": float(loss.detach()), **figures}

    def _report(self, step: int) -> None:
        """Store the state after `step` steps; every rank takes part."""
        cut = self._worker.world > 1 and self._settings.strategy == "fsdp2"
        state = gather_state(self._task.model, self._optimizer, step=step) if cut else None
        figures: dict[str, float] = {}
        if self._record or cut:
            self._task.model.eval()
            with torch.no_grad():
                figures = self._task.validate()
        folder = None
        if self._record:
            self._record.held_out(step, figures)
            state = state or gather_state(self._task.model, self._optimizer, step=step)
            folder = Path(tempfile.mkdtemp(prefix="pirta-state-"))
            write_state(folder, state)
            figures = {**self._record.smoothed, **figures}
        self._worker.report(step, figures, folder)


def seed_of(*numbers: int) -> int:
    """Return a seed for torch that follows from the numbers."""
    return int(np.random.SeedSequence(numbers).generate_state(1)[0])


def _stream(
    batches: StepBatches, settings: LoopSettings, first_step: int, pieces: range
) -> Iterator[Batch]:
    processes = settings.loader_processes
    loader: DataLoader[Batch] = DataLoader(
        batches,
        sampler=[
            step * settings.num_pieces + piece
            for step in range(first_step, settings.num_steps)
            for piece in pieces
        ],
        batch_size=None,
        num_workers=processes,
        prefetch_factor=2 if processes else None,
        # The pool in memory is shared by a fork, and would be copied by a spawn.
        multiprocessing_context="fork" if processes else None,
    )
    return iter(loader)


def _to_device(batch: Batch, device: torch.device) -> Batch:
    return Batch(
        volume_BCXYZ=batch.volume_BCXYZ.to(device).float(),
        labels_B=batch.labels_B.to(device),
        lesion_BNM=batch.lesion_BNM.to(device),
        lesion_known_B=batch.lesion_known_B.to(device),
        infarct_types_B=batch.infarct_types_B.to(device),
        classes_B=batch.classes_B.to(device),
    )


def _over_workers(sums: dict[str, float], worker: Worker) -> dict[str, float]:
    if worker.world == 1:
        return sums
    names = sorted(sums)
    values = torch.tensor([sums[name] for name in names], dtype=torch.float64)
    # Metal and some accelerators lack float64; NCCL wants the tensor where the network is.
    values = values.to(worker.device)
    distributed.all_reduce(values)
    return dict(zip(names, values.tolist(), strict=True))


def _unwritable(error: Exception) -> TrainingError:
    full = "No space left" in str(error) or "no space is left" in str(error)
    reason = "no space is left" if full else type(error).__name__
    return TrainingError(
        f"The run's files cannot be written: {reason}. Its complete checkpoints are kept.",
        remedy="Make room, or make the folder writable again, and run the same command: it goes "
        "on from the last complete checkpoint.",
    )
