"""MONAI's self-attention block with the same parameters and a leaner way to compute it.

MONAI copies queries, keys and values apart and, under autocast, each attention matrix to
float32 and back: half of a block's time. Names, shapes and results stay MONAI's.

Axis suffixes: B batch, N tokens (the second N: tokens that are looked at), D features, H heads,
E features a head.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

import torch
from monai.networks.blocks.selfattention import SABlock
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention


class LeanAttention(nn.Module):
    """Takes over the two layers of an `SABlock`; without its masks, dropout and kept matrices."""

    def __init__(self, block: SABlock) -> None:
        super().__init__()
        # In the order of the block: an optimizer knows its parameters by their order.
        self.out_proj, self.qkv = block.out_proj, block.qkv
        self._num_heads = block.num_heads

    def forward(self, tokens_BND: Tensor, attn_mask: Tensor | None = None) -> Tensor:
        """Return what each token takes from all, shape `(B, N, D)`."""
        assert attn_mask is None, "a volume's tokens all see each other"
        qkv = self.qkv(tokens_BND).unflatten(2, (3, self._num_heads, -1))
        parts = qkv.permute(2, 0, 3, 1, 4)
        # On a CPU torch's fused kernel is the slower one in half precision: twice, backwards.
        plain = qkv.device.type == "cpu" and qkv.dtype != torch.float32
        seen_BHNE = _plain(parts) if plain else scaled_dot_product_attention(*parts.unbind(0))
        return cast(Tensor, self.out_proj(seen_BHNE.transpose(1, 2).flatten(2)))


def _plain(parts: Tensor) -> Tensor:
    # Autocast would copy the matrices to float32 for the softmax, which adds up in it anyway.
    with torch.autocast("cpu", enabled=False):
        query_BHNE, key_BHNE, value_BHNE = parts.contiguous().unbind(0)
        scaled_BHNE = query_BHNE * query_BHNE.shape[-1] ** -0.5
        weights_BHNN = (scaled_BHNE @ key_BHNE.mT).softmax(dim=-1)
        return cast(Tensor, weights_BHNN @ value_BHNE)


def lean_attention(blocks: Iterable[nn.Module]) -> None:
    """Put `LeanAttention` into each of MONAI's transformer blocks, in place."""
    for block in blocks:
        attention = getattr(block, "attn", None)
        if isinstance(attention, SABlock):
            block.attn = LeanAttention(attention)
