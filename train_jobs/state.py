"""A training run's state in a folder: weights, AdamW's moments and the step, as safetensors.

Torch's own checkpoints are pickles, which can run code when read; these cannot. The random
state is not kept: everything random follows from (seed, step, place in the step's batch). Of a
network cut over workers the state is whole, and is read without them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from pirta.errors import CheckpointError
from pirta.models.weights import WEIGHTS_NAME, load_weights
from train_jobs.parallel import cut_like, whole

_OPTIMIZER_NAME = "optimizer.safetensors"
_STEP_NAME = "step.json"


@dataclass(frozen=True)
class TrainingState:
    """What a run goes on from, on the CPU and in full precision."""

    weights: dict[str, Tensor]
    moments: dict[str, Tensor]
    step: int


def gather_state(model: nn.Module, optimizer: torch.optim.Optimizer, *, step: int) -> TrainingState:
    """Return the state after `step` steps; every worker has to call it alike."""
    moments = {
        f"{name}/{entry}": whole(torch.as_tensor(value))
        for name, parameter in model.named_parameters()
        for entry, value in optimizer.state.get(parameter, {}).items()
    }
    weights = {name: whole(tensor) for name, tensor in model.state_dict().items()}
    return TrainingState(weights, moments, step)


def write_state(folder: Path, state: TrainingState) -> None:
    """Write a state's files.

    Raises:
        OSError, SafetensorError: they cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    save_file(state.weights, folder / WEIGHTS_NAME)
    save_file(state.moments, folder / _OPTIMIZER_NAME)
    (folder / _STEP_NAME).write_text(json.dumps({"step": state.step}), encoding="utf-8")


def save_state(
    folder: Path, model: nn.Module, optimizer: torch.optim.Optimizer, *, step: int
) -> None:
    """Write the state after `step` steps; weights in full precision."""
    write_state(folder, gather_state(model, optimizer, step=step))


def load_state(folder: Path, model: nn.Module, optimizer: torch.optim.Optimizer) -> int:
    """Fill model and optimizer, and return how many steps were done.

    Raises:
        CheckpointError: the weights do not fit the model.
    """
    load_weights(folder, model)
    return load_moments(folder, model, optimizer)


def load_moments(folder: Path, model: nn.Module, optimizer: torch.optim.Optimizer) -> int:
    """Fill the optimizer, of a network cut over workers too, and return the steps done.

    Raises:
        CheckpointError: the file cannot be read.
    """
    try:
        stored = load_file(folder / _OPTIMIZER_NAME)
        step = int(json.loads((folder / _STEP_NAME).read_text(encoding="utf-8"))["step"])
    except (OSError, SafetensorError, ValueError, KeyError) as error:
        raise CheckpointError(
            f"The optimizer's state cannot be read ({type(error).__name__}).",
            remedy="Remove that checkpoint: the run goes on from the one before it.",
        ) from None
    entries: dict[str, dict[str, Tensor]] = {}
    for key, value in stored.items():
        name, entry = key.rsplit("/", 1)
        entries.setdefault(name, {})[entry] = value
    for name, parameter in model.named_parameters():
        if name in entries:
            optimizer.state[parameter] = {
                entry: value if entry == "step" else cut_like(value, parameter)
                for entry, value in entries[name].items()
            }
    return step
