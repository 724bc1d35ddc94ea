"""The encoder as one would first write it: MONAI's ViT and a stem over every cell of the volume.

The baseline of `bench.encoding`: the same parameters and the same embedding as
`pirta.models.encoder`, computed with dense convolutions and with MONAI's own attention, in
float32. Nothing is made slow on purpose: both are how these layers are commonly written.

Axis suffixes: B batch, C channels (DWI, ADC), X Y Z voxels (RAS+), N patches, M cells of a patch
in X-Y-Z order, D features.
"""

from __future__ import annotations

from copy import deepcopy
from typing import cast

import torch
from monai.networks.blocks.selfattention import SABlock
from torch import Tensor, nn

from pirta.models.attention import LeanAttention
from pirta.models.encoder import TerritoryEncoder
from pirta.models.patches import to_patches
from pirta.models.stem import NestedPatchEmbedding, scale_volume


def plain_encoder(encoder: TerritoryEncoder) -> TerritoryEncoder:
    """Return the same network computed plainly; `encoder` stays as it is."""
    plain = deepcopy(encoder)
    config = plain.config
    stem = cast(NestedPatchEmbedding, plain.vit.patch_embedding)
    plain.vit.patch_embedding = DenseStem(stem, plain)
    for block in plain.vit.blocks:
        attention = cast(LeanAttention, block.attn)
        monai = SABlock(config.hidden_size, config.num_heads)
        monai.out_proj, monai.qkv = attention.out_proj, attention.qkv
        block.attn = monai
    return plain.eval()


class DenseStem(nn.Module):
    """`NestedPatchEmbedding` as two strided convolutions over the whole volume."""

    def __init__(self, stem: NestedPatchEmbedding, encoder: TerritoryEncoder) -> None:
        super().__init__()
        config = encoder.config
        fine, cell = config.stem_vox
        parts = (cell[0] // fine[0], cell[1] // fine[1], cell[2] // fine[2])
        patch = config.patch_vox
        self._patch_cells = (patch[0] // cell[0], patch[1] // cell[1], patch[2] // cell[2])
        self.first = _convolution(stem.first, fine)
        self.second = _convolution(stem.second, parts)
        self.norm, self.third = stem.norm, stem.third
        self.position_embeddings = stem.position_embeddings

    def cells(self, volume_BCXYZ: Tensor) -> Tensor:
        """Return the features of each cell, shape `(B, N, M, D)`."""
        fine = torch.relu(self.first(scale_volume(volume_BCXYZ)))
        cells = self.second(fine)
        values = to_patches(cells, patch_vox=self._patch_cells).unflatten(2, (cells.shape[1], -1))
        return nn.functional.gelu(self.norm(values.mT))

    def from_cells(self, cells_BNMD: Tensor) -> Tensor:
        """Return the tokens of a volume's cells with their positions, shape `(B, N, hidden)`."""
        return cast(Tensor, self.third(cells_BNMD.flatten(2)) + self.position_embeddings)


def _convolution(layer: nn.Linear, step_vox: tuple[int, int, int]) -> nn.Conv3d:
    """Return the linear layer over the values of a block as a convolution that steps by blocks."""
    values = step_vox[0] * step_vox[1] * step_vox[2]
    made = nn.Conv3d(
        layer.in_features // values, layer.out_features, kernel_size=step_vox, stride=step_vox
    )
    with torch.no_grad():
        made.weight.copy_(layer.weight.view(made.weight.shape))
        made.bias.copy_(layer.bias)
    return made
