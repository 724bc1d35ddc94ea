"""A training run's state in a folder: weights, AdamW's moments and the step, as safetensors.

Torch's own checkpoints are pickles, which can run code when read; these cannot. The random
state is not kept: everything random follows from (seed, rank, step).
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from pirta.models.weights import load_weights, save_weights

_OPTIMIZER_NAME = "optimizer.safetensors"
_STEP_NAME = "step.json"


def save_state(
    folder: Path, model: nn.Module, optimizer: torch.optim.Optimizer, *, step: int
) -> None:
    """Write the state after `step` steps; weights in full precision."""
    save_weights(folder, model, half=False)
    tensors = {}
    for name, parameter in model.named_parameters():
        for entry, value in optimizer.state.get(parameter, {}).items():
            tensors[f"{name}/{entry}"] = torch.as_tensor(value).detach().cpu().contiguous()
    save_file(tensors, folder / _OPTIMIZER_NAME)
    (folder / _STEP_NAME).write_text(json.dumps({"step": step}), encoding="utf-8")


def load_state(folder: Path, model: nn.Module, optimizer: torch.optim.Optimizer) -> int:
    """Fill model and optimizer, and return how many steps were done.

    Raises:
        CheckpointError: the weights do not fit the model.
    """
    load_weights(folder, model)
    stored = load_file(folder / _OPTIMIZER_NAME)
    for name, parameter in model.named_parameters():
        entries = {
            key.rsplit("/", 1)[1]: value
            for key, value in stored.items()
            if key.rsplit("/", 1)[0] == name
        }
        if entries:
            optimizer.state[parameter] = {
                entry: value if entry == "step" else value.to(parameter.device)
                for entry, value in entries.items()
            }
    return int(json.loads((folder / _STEP_NAME).read_text(encoding="utf-8"))["step"])
