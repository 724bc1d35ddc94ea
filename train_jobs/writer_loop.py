"""The training loop of both writer jobs, as it runs on each Ray Train worker.

Everything that a step does follows from the settings and the step's number (order of the
examples, learning rate, dropout), so that a resumed run goes the same way as an unbroken one.
Checkpoints hold the trainable weights and AdamW's two moments as safetensors. It does not know
what it trains: a whole model or an adapter.

Axis suffixes: B rows of a batch, T tokens.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import ray.train
import ray.train.torch
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from pirta.models.runtime import fastest_precision
from train_jobs.progress import ProgressWriter
from train_jobs.writer_presets import LoopSettings
from train_jobs.writer_tokens import NOT_LEARNED, TokenRow, batch_of

STATE_NAME = "state.safetensors"
PROGRESS_EVERY_STEPS = 10


def run_loop(
    model: nn.Module,
    rows: Sequence[TokenRow],
    settings: LoopSettings,
    *,
    pad_id: int,
    run_dir: Path,
) -> None:
    """Train `model` on `rows` on this worker, from the last checkpoint where there is one.

    The last report carries a checkpoint of the finished run; `load_weights` reads it.
    """
    context = ray.train.get_context()
    rank, world = context.get_world_rank(), context.get_world_size()
    torch.set_num_threads(settings.num_threads)
    device = ray.train.torch.get_device()
    model.to(device).train()
    optimizer = torch.optim.AdamW(
        list(trainable(model).values()),
        lr=settings.learning_rate,
        weight_decay=settings.weight_decay,
        betas=(0.9, 0.95),
    )
    plan = batch_plan([len(row.ids) for row in rows], settings)
    start = _restore(model, optimizer)
    parallel = ray.train.torch.prepare_model(model, move_to_device=False) if world > 1 else model
    progress = ProgressWriter(run_dir, num_steps=len(plan), first_step=start)
    for step in range(start, len(plan)):
        batch = batch_of(
            [rows[index] for index in plan[step][rank::world]],
            pad_id=pad_id,
            answers_only=settings.answers_only,
        )
        loss = _step(parallel, optimizer, [part.to(device) for part in batch], settings, step, plan)
        done = step + 1
        if rank == 0 and (done % PROGRESS_EVERY_STEPS == 0 or done == len(plan)):
            progress.write(done, {"loss": loss})
        if done % settings.save_every_steps == 0 or done == len(plan):
            _report(model, optimizer, done, loss, rank)


def batch_plan(lengths: Sequence[int], settings: LoopSettings) -> list[list[int]]:
    """Return each step's row numbers, for all epochs; rows of like length share a step.

    Incomplete last batches are left out, so that every worker has rows in every step.
    """
    plan: list[list[int]] = []
    size, pool = settings.batch_size, settings.batch_size * 16
    for epoch in range(settings.epochs):
        rng = np.random.default_rng((settings.seed, epoch))
        order = rng.permutation(len(lengths))
        batches: list[list[int]] = []
        for start in range(0, len(order), pool):
            near = sorted(order[start : start + pool].tolist(), key=lambda row: lengths[row])
            batches += [near[at : at + size] for at in range(0, len(near) - size + 1, size)]
        plan += [batches[index] for index in rng.permutation(len(batches))]
    return plan


def learning_rate(step: int, num_steps: int, settings: LoopSettings) -> float:
    """Return the rate of a step: linear warm-up, then a cosine down to a tenth."""
    warmup = max(1, round(settings.warmup_share * num_steps))
    if step < warmup:
        return settings.learning_rate * (step + 1) / warmup
    share = (step - warmup) / max(1, num_steps - warmup)
    return settings.learning_rate * (0.1 + 0.45 * (1 + math.cos(math.pi * share)))


def trainable(model: nn.Module) -> dict[str, nn.Parameter]:
    """Return the parameters that are trained, by name; tied ones once."""
    return {name: value for name, value in model.named_parameters() if value.requires_grad}


def load_weights(model: nn.Module, folder: Path) -> int:
    """Put a checkpoint's weights into `model`; return the number of steps they have seen."""
    with safe_open(folder / STATE_NAME, framework="pt") as state, torch.no_grad():
        for name, value in trainable(model).items():
            value.copy_(state.get_tensor(f"weight.{name}"))
        return int(state.metadata()["step"])


def _step(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    batch: Sequence[Tensor],
    settings: LoopSettings,
    step: int,
    plan: Sequence[Sequence[int]],
) -> float:
    ids_BT, mask_BT, labels_BT = batch
    torch.manual_seed(settings.seed * 1_000_003 + step)  # dropout
    for group in optimizer.param_groups:
        group["lr"] = learning_rate(step, len(plan), settings)
    # Without units for it torch emulates bfloat16, which takes many times as long.
    half = settings.use_bf16 and fastest_precision(str(ids_BT.device)) == "bfloat16"
    total = 0.0
    for part, share in row_parts(labels_BT, settings.rows_at_once):
        with torch.autocast(ids_BT.device.type, dtype=torch.bfloat16, enabled=half):
            loss: Tensor = (
                share
                * model(
                    input_ids=ids_BT[part], attention_mask=mask_BT[part], labels=labels_BT[part]
                ).loss
            )
        loss.backward()  # type: ignore[no-untyped-call]
        total += float(loss.detach())
    nn.utils.clip_grad_norm_(model.parameters(), settings.clip_norm)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return total


def row_parts(labels_BT: Tensor, rows_at_once: int | None) -> list[tuple[slice, float]]:
    """Return a batch's rows in parts, each with its share of the tokens that are learnt.

    The model's loss is the mean over a part's tokens: weighted by these shares, the parts' losses
    sum up to the whole batch's, and so do their gradients.
    """
    size = rows_at_once or len(labels_BT)
    # The model predicts each token from those before it, so that the first is never learnt.
    learnt_B = (labels_BT[:, 1:] != NOT_LEARNED).sum(dim=1)
    parts = [slice(start, start + size) for start in range(0, len(labels_BT), size)]
    total = float(learnt_B.sum())
    return [(part, float(learnt_B[part].sum()) / total) for part in parts]


def _report(
    model: nn.Module, optimizer: torch.optim.Optimizer, step: int, loss: float, rank: int
) -> None:
    """Report a checkpoint: every rank calls it, rank 0 brings the files."""
    metrics: dict[str, Any] = {"step": step, "loss": loss}
    if rank != 0:
        ray.train.report(metrics)
        return
    with tempfile.TemporaryDirectory() as folder:
        _save(model, optimizer, step, Path(folder))
        ray.train.report(metrics, checkpoint=ray.train.Checkpoint.from_directory(folder))


def _save(model: nn.Module, optimizer: torch.optim.Optimizer, step: int, folder: Path) -> None:
    tensors: dict[str, Tensor] = {}
    for name, value in trainable(model).items():
        tensors[f"weight.{name}"] = value.detach().cpu().contiguous()
        for moment in ("exp_avg", "exp_avg_sq"):
            tensors[f"{moment}.{name}"] = optimizer.state[value][moment].cpu().contiguous()
    save_file(tensors, folder / STATE_NAME, metadata={"step": str(step)})


def _restore(model: nn.Module, optimizer: torch.optim.Optimizer) -> int:
    """Load the run's last checkpoint, if it has one; return the number of steps done."""
    checkpoint = ray.train.get_checkpoint()
    if checkpoint is None:
        return 0
    with checkpoint.as_directory() as folder:
        step = load_weights(model, Path(folder))
        with safe_open(Path(folder) / STATE_NAME, framework="pt") as state:
            for name, value in trainable(model).items():
                optimizer.state[value] = {
                    "step": torch.tensor(float(step)),
                    **{
                        moment: state.get_tensor(f"{moment}.{name}").to(value.device)
                        for moment in ("exp_avg", "exp_avg_sq")
                    },
                }
    return step
