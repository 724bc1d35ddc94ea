"""The optimizer of the encoder's jobs, and the learning rate of each step.

AdamW with decay on matrices only; rates warm up linearly, fall as a cosine to 0, and with
`layer_decay` below 1 are lower the nearer a layer is to the volume (BEiT, Bao et al. 2021; MAE,
He et al. 2021, appendix A.2).
"""

from __future__ import annotations

import math
import re

import torch
from torch import nn

from train_jobs.presets import LoopSettings

_SCALE = "rate_scale"
_BLOCK = re.compile(r"(?:^|\.)blocks\.(\d+)\.")
_STEM = re.compile(r"(?:^|\.)(?:patch_embedding|cls_token)")


def make_optimizer(model: nn.Module, settings: LoopSettings) -> torch.optim.AdamW:
    """Return AdamW with decay on matrices only: not on biases, norms and positions."""
    groups: dict[tuple[bool, float], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            scale = rate_scale(name, settings)
            groups.setdefault((parameter.ndim == 2, scale), []).append(parameter)
    ordered = sorted(groups.items(), key=lambda group: (-group[0][1], not group[0][0]))
    return torch.optim.AdamW(
        [
            {
                "params": parameters,
                "weight_decay": settings.weight_decay if decayed else 0.0,
                _SCALE: scale,
            }
            for (decayed, scale), parameters in ordered
        ],
        lr=settings.learning_rate,
        betas=(0.9, 0.95),
    )


def rate_scale(name: str, settings: LoopSettings) -> float:
    """Return the share of the learning rate that a parameter of this name gets.

    The stem is depth 0, the blocks follow, heads and decoder are deepest and get all of it.
    """
    deepest = settings.encoder.num_layers + 1
    block = _BLOCK.search(name)
    if _STEM.search(name):
        depth = 0
    elif block:
        depth = min(int(block.group(1)) + 1, deepest)
    else:
        depth = deepest
    return float(settings.layer_decay ** (deepest - depth))


def rate(settings: LoopSettings, step: int) -> float:
    """Return the learning rate of a step, counted from 0."""
    warmup = max(1, round(settings.warmup_share * settings.num_steps))
    if step < warmup:
        share = (step + 1) / warmup
    else:
        through = (step - warmup) / max(1, settings.num_steps - warmup)
        share = 0.5 * (1 + math.cos(math.pi * through))
    return settings.learning_rate * share


def set_rate(optimizer: torch.optim.Optimizer, settings: LoopSettings, step: int) -> None:
    """Set the learning rate of a step."""
    of_step = rate(settings, step)
    for group in optimizer.param_groups:
        group["lr"] = of_step * group[_SCALE]
