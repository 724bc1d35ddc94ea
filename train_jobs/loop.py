"""The one training loop of the encoder's jobs, as it runs in a Ray Train worker.

It knows steps, the optimizer, checkpoints and progress; what is learnt is a `Task`. Every rank
reports equally often; rank 0 alone writes. Rates warm up linearly and fall as a cosine to 0.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader

from train_jobs.data import Batch, StepBatches
from train_jobs.presets import LoopSettings
from train_jobs.progress import ProgressWriter
from train_jobs.state import load_state, save_state

_PROGRESS_EVERY_STEPS = 10
_SMOOTHING = 0.9


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


def run_loop(task: Task, settings: LoopSettings, *, run_dir: Path) -> None:
    """Train until the last step, from the last complete checkpoint if there is one."""
    import ray.train
    from ray.train.torch import get_device, prepare_model

    torch.set_num_threads(settings.num_threads)
    context = ray.train.get_context()
    rank, world = context.get_world_rank(), context.get_world_size()
    device = get_device()
    optimizer = make_optimizer(task.model.to(device), settings)
    first_step = _restore(task.model, optimizer)
    model = prepare_model(task.model, move_to_device=False) if world > 1 else task.model
    shown = _Shown(run_dir, settings, first_step) if rank == 0 else None
    pieces = range(rank, settings.num_pieces, world)
    batches = _stream(task.batches(), settings, first_step, pieces)
    for step in range(first_step, settings.num_steps):
        set_rate(optimizer, settings, step)
        figures: dict[str, float] = {}
        for piece in pieces:
            torch.manual_seed(hash((settings.seed, step, piece)) & 0x7FFFFFFF)
            # DDP takes the mean over workers: the sum over pieces of all, by their number.
            share = world / settings.num_pieces
            batch = _to_device(next(batches), device)
            synced = piece == pieces[-1]
            for name, value in _backward(task, model, batch, settings, share, synced).items():
                figures[name] = figures.get(name, 0.0) + value / len(pieces)
        _update(model, optimizer, settings)
        done = step + 1
        if shown:
            shown.add(done, figures)
        if done % settings.save_every_steps == 0 or done == settings.num_steps:
            _report(task, optimizer, step=done, shown=shown)


def make_optimizer(model: nn.Module, settings: LoopSettings) -> torch.optim.AdamW:
    """Return AdamW with decay on matrices only: not on biases, norms and positions."""
    decayed = [p for p in model.parameters() if p.requires_grad and p.ndim == 2]
    others = [p for p in model.parameters() if p.requires_grad and p.ndim != 2]
    groups = [
        {"params": decayed, "weight_decay": settings.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=settings.learning_rate, betas=(0.9, 0.95))


def set_rate(optimizer: torch.optim.Optimizer, settings: LoopSettings, step: int) -> None:
    """Set the learning rate of a step."""
    warmup = max(1, round(settings.warmup_share * settings.num_steps))
    if step < warmup:
        share = (step + 1) / warmup
    else:
        through = (step - warmup) / max(1, settings.num_steps - warmup)
        share = 0.5 * (1 + math.cos(math.pi * through))
    for group in optimizer.param_groups:
        group["lr"] = settings.learning_rate * share


def _backward(
    task: Task,
    model: nn.Module,
    batch: Batch,
    settings: LoopSettings,
    share: float,
    synced: bool,
) -> dict[str, float]:
    """Add a piece's share to the gradients."""
    model.train()
    device = batch.volume_BCXYZ.device.type
    waits: AbstractContextManager[None] = nullcontext()
    if isinstance(model, DistributedDataParallel) and not synced:
        waits = model.no_sync()
    with waits:
        with torch.autocast(device, torch.bfloat16, enabled=settings.use_bf16):
            loss, figures = task.loss(model, batch)
        (share * loss).backward()  # type: ignore[no-untyped-call]
    return {"loss": float(loss.detach()), **figures}


def _update(model: nn.Module, optimizer: torch.optim.Optimizer, settings: LoopSettings) -> None:
    nn.utils.clip_grad_norm_(model.parameters(), settings.clip_norm)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)


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
        infarct_types_B=batch.infarct_types_B.to(device),
        classes_B=batch.classes_B.to(device),
    )


def _restore(model: nn.Module, optimizer: torch.optim.Optimizer) -> int:
    import ray.train

    checkpoint = ray.train.get_checkpoint()
    if checkpoint is None:
        return 0
    with checkpoint.as_directory() as folder:
        return load_state(Path(folder), model, optimizer)


def _report(
    task: Task,
    optimizer: torch.optim.Optimizer,
    *,
    step: int,
    shown: _Shown | None,
) -> None:
    import ray.train

    if shown is None:
        ray.train.report({"step": step})
        return
    task.model.eval()
    with torch.inference_mode():
        figures = task.validate()
    shown.write(step, figures)
    with tempfile.TemporaryDirectory() as folder:
        save_state(Path(folder), task.model, optimizer, step=step)
        ray.train.report(
            {"step": step, **shown.smoothed, **figures},
            checkpoint=ray.train.Checkpoint.from_directory(folder),
        )


class _Shown:
    """Running means of the figures, written now and then."""

    def __init__(self, run_dir: Path, settings: LoopSettings, first_step: int) -> None:
        self.smoothed: dict[str, float] = {}
        self._writer = ProgressWriter(run_dir, num_steps=settings.num_steps, first_step=first_step)

    def add(self, step: int, figures: dict[str, float]) -> None:
        for name, value in figures.items():
            before = self.smoothed.get(name, value)
            self.smoothed[name] = _SMOOTHING * before + (1 - _SMOOTHING) * value
        if step % _PROGRESS_EVERY_STEPS == 0:
            self._writer.write(step, self.smoothed)

    def write(self, step: int, figures: dict[str, float]) -> None:
        if figures:
            self._writer.write(step, figures)
