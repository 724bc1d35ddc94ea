"""Store and load a module's weights as safetensors: half precision on disk, float32 in memory.

One tensor file a checkpoint, `model.safetensors`. It knows names and shapes, not manifests.
"""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from pirta.errors import CheckpointError

WEIGHTS_NAME = "model.safetensors"


def save_weights(folder: Path, module: nn.Module, *, half: bool) -> None:
    """Write the module's state to `folder/model.safetensors`, as float16 where `half`."""
    folder.mkdir(parents=True, exist_ok=True)
    state = {
        name: (tensor.half() if half and tensor.is_floating_point() else tensor).contiguous().cpu()
        for name, tensor in module.state_dict().items()
    }
    save_file(state, folder / WEIGHTS_NAME)


def load_weights(folder: Path, module: nn.Module) -> None:
    """Fill the module from `folder/model.safetensors`.

    Raises:
        CheckpointError: the file is missing or damaged, or names or shapes differ.
    """
    path = folder / WEIGHTS_NAME
    try:
        state = load_file(path)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(
            f"The weights {path} cannot be read ({type(error).__name__}).",
            remedy="Copy the checkpoint again from where it was made.",
        ) from None
    own = module.state_dict()
    odd = sorted(own.keys() ^ state.keys())
    odd += sorted(
        name for name in own.keys() & state.keys() if own[name].shape != state[name].shape
    )
    if odd:
        raise CheckpointError(
            f"The weights {path} do not fit the network: {len(odd)} tensors differ, "
            f"first '{odd[0]}'.",
            remedy="Use the checkpoint with the code that made it; its manifest names the commit.",
        )
    module.load_state_dict({name: tensor.to(own[name].dtype) for name, tensor in state.items()})
    if not all(torch.isfinite(tensor).all() for tensor in module.state_dict().values()):
        raise CheckpointError(
            f"The weights {path} hold values that are not finite.",
            remedy="The training run diverged: use an earlier checkpoint.",
        )
