"""One network over several workers: DDP or FSDP2, and activations that are not kept.

FSDP2 (`torch.distributed.fsdp.fully_shard`) cuts every transformer block's parameters, gradients
and moments over the workers; DDP keeps a copy on each. Either way a step's gradient is the mean
over the workers. The process group is the driver's matter.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import partial

import torch
from monai.networks.blocks.transformerblock import TransformerBlock
from torch import nn
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor
from torch.nn.parallel import DistributedDataParallel
from torch.utils.checkpoint import checkpoint

from pirta.errors import TrainingError
from train_jobs.presets import LoopSettings


def pieces_of(settings: LoopSettings, *, rank: int, world: int) -> range:
    """Return the numbers of the pieces of a step's batch that a rank takes.

    Raises:
        TrainingError: there are more workers than pieces, or FSDP2's workers would take unequal
            numbers of them, which it cannot.
    """
    pieces = settings.num_pieces
    uneven = settings.strategy == "fsdp2" and pieces % world
    if world > pieces or uneven:
        raise TrainingError(
            f"A step's {pieces} pieces cannot be shared out among {world} workers "
            f"({settings.strategy}).",
            remedy="Set accumulate_steps so that the pieces are a multiple of every number of "
            "workers the run may have.",
        )
    return range(rank, pieces, world)


def wrap(model: nn.Module, settings: LoopSettings, *, world: int) -> nn.Module:
    """Return the network to call in training; `model` itself is changed for FSDP2."""
    if settings.checkpoint_activations:
        for block in _blocks(model):
            # On the instance: names of parameters stay as they are.
            setattr(block, "forward", partial(checkpoint, block.forward, use_reentrant=False))  # noqa: B010
    if world == 1:
        return model
    if settings.strategy == "fsdp2":
        for block in _blocks(model):
            fully_shard(block)
        fully_shard(model)
        return model
    device = next(model.parameters()).device
    return DistributedDataParallel(
        model,
        device_ids=[device] if device.type == "cuda" else None,
        # MONAI's blocks hold norms for a cross attention that nothing calls.
        find_unused_parameters=True,
    )


@contextmanager
def gradients_kept(model: nn.Module, *, synced: bool) -> Iterator[None]:
    """Let workers exchange gradients after this backward pass, or only add to their own."""
    if isinstance(model, FSDPModule):
        model.set_requires_gradient_sync(synced)
    waits = isinstance(model, DistributedDataParallel) and not synced
    with model.no_sync() if waits else nullcontext():  # type: ignore[operator]
        yield


def whole(tensor: torch.Tensor) -> torch.Tensor:
    """Return a tensor in one piece, on the CPU; every worker has to call it alike."""
    full = tensor.full_tensor() if isinstance(tensor, DTensor) else tensor
    return full.detach().cpu().contiguous()


def cut_like(value: torch.Tensor, parameter: torch.Tensor) -> torch.Tensor:
    """Return a whole tensor on the parameter's device, cut as the parameter is."""
    moved = value.to(parameter.device)
    if isinstance(parameter, DTensor):
        return distribute_tensor(moved, parameter.device_mesh, parameter.placements)
    return moved


def _blocks(model: nn.Module) -> list[TransformerBlock]:
    return [module for module in model.modules() if isinstance(module, TransformerBlock)]
