"""vLLM's LoRA products on the CPU, one matrix product an adapter instead of one a token.

vLLM's fallback for CPUs gathers the adapter's weights anew for every token, which cost more than
the whole rest of the demo model (docs/RESULTS.md). Tokens of one adapter share its weights, and a
batch has few adapters. vLLM calls `register` in each of its processes, as the entry point
`vllm.general_plugins` in pyproject.toml; on a GPU it changes nothing.

Axis suffixes: T tokens, I inputs, O outputs, S slots for adapters, R ranks.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor


def register() -> None:
    """Put the functions below in the place of vLLM's, where its platform is the CPU."""
    from vllm.platforms import current_platform

    if not current_platform.is_cpu():
        return
    from vllm.lora.punica_wrapper import punica_cpu

    for function in (
        bgmv_shrink, bgmv_expand, bgmv_expand_slice, sgmv_shrink, sgmv_expand, sgmv_expand_slice
    ):  # fmt: skip
        name = function.__name__
        assert hasattr(punica_cpu, name), f"vLLM has no LoRA operation {name} any more"
        setattr(punica_cpu, name, function)


def bgmv_shrink(
    inputs_TI: Tensor,
    weights_SRI: Tensor,
    outputs_TR: Tensor,
    indices_T: Tensor,
    scaling: float = 1.0,
) -> None:
    """Write each token's product with its adapter's first matrix, scaled."""
    for rows, weight_RI in _by_adapter(indices_T, weights_SRI):
        product = _product(inputs_TI, weight_RI, rows, outputs_TR)
        outputs_TR[rows, : product.shape[1]] = scaling * product


def bgmv_expand(
    inputs_TR: Tensor,
    weights_SOR: Tensor,
    outputs_TO: Tensor,
    indices_T: Tensor,
    add_inputs: bool = True,
) -> None:
    """Write or add each token's product with its adapter's second matrix."""
    if len(inputs_TR) == 1 and len(outputs_TO) != 1:  # one product for every row
        indices_T = indices_T.expand(len(outputs_TO))
        inputs_TR = inputs_TR.expand(len(outputs_TO), -1)
    for rows, weight_OR in _by_adapter(indices_T, weights_SOR):
        product = _product(inputs_TR, weight_OR, rows, outputs_TO)
        # The adapter and the model may pad their outputs differently.
        width = min(product.shape[1], outputs_TO.shape[1])
        if add_inputs:
            outputs_TO[rows, :width] += product[:, :width]
        else:
            outputs_TO[rows, :width] = product[:, :width]


def bgmv_expand_slice(
    inputs_TR: Tensor,
    weights_SOR: Tensor,
    outputs_TO: Tensor,
    indices_T: Tensor,
    slice_offset: int,
    slice_size: int,
    add_inputs: bool = True,
) -> None:
    """Do as `bgmv_expand` with a part of the outputs."""
    part = outputs_TO[:, slice_offset : slice_offset + slice_size]
    bgmv_expand(inputs_TR, weights_SOR, part, indices_T, add_inputs)


def sgmv_shrink(
    inputs_TI: Tensor,
    weights_SRI: Tensor,
    outputs_TR: Tensor,
    _starts: Tensor,
    lengths: Tensor,
    indices: Tensor,
    _num_sequences: int,
    _longest: int,
    _num_tokens: int,
    scaling: float,
) -> None:
    """Do as `bgmv_shrink` where an index stands for a sequence of tokens."""
    bgmv_shrink(inputs_TI, weights_SRI, outputs_TR, indices.repeat_interleave(lengths), scaling)


def sgmv_expand(
    inputs_TR: Tensor,
    weights_SOR: Tensor,
    outputs_TO: Tensor,
    _starts: Tensor,
    lengths: Tensor,
    indices: Tensor,
    _num_sequences: int,
    _longest: int,
    _num_tokens: int,
    add_inputs: bool = False,
) -> None:
    """Do as `bgmv_expand` where an index stands for a sequence of tokens."""
    bgmv_expand(inputs_TR, weights_SOR, outputs_TO, indices.repeat_interleave(lengths), add_inputs)


def sgmv_expand_slice(
    inputs_TR: Tensor,
    weights_SOR: Tensor,
    outputs_TO: Tensor,
    _starts: Tensor,
    lengths: Tensor,
    indices: Tensor,
    _num_sequences: int,
    _longest: int,
    _num_tokens: int,
    slice_offset: int,
    slice_size: int,
    add_inputs: bool = False,
) -> None:
    """Do as `bgmv_expand_slice` where an index stands for a sequence of tokens."""
    of_token = indices.repeat_interleave(lengths)
    bgmv_expand_slice(
        inputs_TR, weights_SOR, outputs_TO, of_token, slice_offset, slice_size, add_inputs
    )


def _by_adapter(indices_T: Tensor, weights: Tensor) -> Iterator[tuple[Tensor | slice, Tensor]]:
    """Yield the rows of each adapter with its matrix; all of them at once where there is one.

    The index of a token without an adapter is -1, the last slot, as in vLLM's own functions.
    """
    found = torch.unique(indices_T).tolist()
    for index in found:
        rows = slice(None) if len(found) == 1 else (indices_T == index).nonzero().squeeze(1)
        weight = weights[index]
        yield rows, weight.squeeze(0) if weight.dim() == 3 else weight


def _product(inputs: Tensor, weight: Tensor, rows: Tensor | slice, outputs: Tensor) -> Tensor:
    return inputs[rows].to(outputs.dtype) @ weight.to(outputs.dtype).T
