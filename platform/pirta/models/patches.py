"""Cut a 3D volume into non-overlapping patches, put it together again, and embed the patches.

Axis suffixes: B batch, C channels, X Y Z voxels (RAS+), N patches in X-Y-Z order, P values a
patch (C * px * py * pz), M cells of a patch in X-Y-Z order, D features.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from pirta.errors import GeometryError
from pirta.models.config import EncoderConfig


def to_patches(volume_BCXYZ: Tensor, *, patch_vox: tuple[int, int, int]) -> Tensor:
    """Return each volume's patches as rows, shape `(B, N, P)`.

    Raises:
        GeometryError: a side is not a multiple of its patch side.
    """
    batch, channels, *sides = volume_BCXYZ.shape
    if len(sides) != 3 or any(side % step for side, step in zip(sides, patch_vox, strict=True)):
        raise GeometryError(
            f"A volume of {tuple(sides)} voxels does not split into patches of {patch_vox}.",
            remedy="Prepare the volume on the encoder's grid first.",
        )
    (px, py, pz), (nx, ny, nz) = patch_vox, [s // p for s, p in zip(sides, patch_vox, strict=True)]
    split = volume_BCXYZ.reshape(batch, channels, nx, px, ny, py, nz, pz)
    return split.permute(0, 2, 4, 6, 1, 3, 5, 7).reshape(batch, nx * ny * nz, -1)


def from_patches(
    patches_BNP: Tensor, *, patch_vox: tuple[int, int, int], volume_vox: tuple[int, int, int]
) -> Tensor:
    """Undo `to_patches`: shape `(B, C, X, Y, Z)`."""
    px, py, pz = patch_vox
    nx, ny, nz = (side // step for side, step in zip(volume_vox, patch_vox, strict=True))
    batch = patches_BNP.shape[0]
    split = patches_BNP.reshape(batch, nx, ny, nz, -1, px, py, pz)
    return split.permute(0, 4, 1, 5, 2, 6, 3, 7).reshape(batch, -1, *volume_vox)


STEM_CHANNELS = 3  # DWI, ADC, restriction: see `encoder.scale_volume`


class NestedPatchEmbedding(nn.Module):
    """Patch embedding in three steps, none of which looks beyond its patch.

    4x4x2 voxels, then 8x8x4, then the patch: a 32 mm patch through one linear layer blurs a
    lacune away, and a stem of overlapping convolutions would show masked patches to their
    neighbours in MAE. Takes the place of MONAI's `PatchEmbeddingBlock` in its ViT and MAE.
    """

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        (first, second), (width1, width2) = config.stem_vox, config.stem_widths
        self.n_patches = config.num_tokens
        self._sides = (first, _ratio(second, first), _ratio(config.patch_vox, second))
        self.first = nn.Linear(STEM_CHANNELS * _product(first), width1)
        self.second = nn.Linear(width1 * _product(self._sides[1]), width2)
        self.norm = nn.LayerNorm(width2)
        self.third = nn.Linear(width2 * _product(self._sides[2]), config.hidden_size)
        self.position_embeddings = nn.Parameter(
            torch.empty(1, config.num_tokens, config.hidden_size).normal_(std=0.02)
        )
        self._fine_vox = _ratio(config.volume_vox, first)
        self._cell_vox = _ratio(config.volume_vox, second)

    def cells(self, volume_BCXYZ: Tensor) -> Tensor:
        """Return the features of each cell, shape `(B, N, M, D)`."""
        if torch.is_autocast_enabled("cpu") and volume_BCXYZ.device.type == "cpu":
            # Cutting is all copying: copy half as many bytes.
            volume_BCXYZ = volume_BCXYZ.to(torch.get_autocast_dtype("cpu"))
        fine = self.first(to_patches(volume_BCXYZ, patch_vox=self._sides[0]))
        fine = _as_volume(nn.functional.relu(fine), self._fine_vox)
        cells = self.norm(self.second(to_patches(fine, patch_vox=self._sides[1])))
        cells = _as_volume(nn.functional.gelu(cells), self._cell_vox)
        rows = to_patches(cells, patch_vox=self._sides[2])
        return rows.reshape(*rows.shape[:2], cells.shape[1], -1).transpose(2, 3)

    def from_cells(self, cells_BNMD: Tensor) -> Tensor:
        """Return the tokens of a volume's cells, shape `(B, N, hidden)`."""
        tokens = self.third(cells_BNMD.flatten(2)) + self.position_embeddings
        return cast(Tensor, tokens)

    def forward(self, volume_BCXYZ: Tensor) -> Tensor:
        """Return the tokens of a volume with their positions, shape `(B, N, hidden)`."""
        return self.from_cells(self.cells(volume_BCXYZ))


def _as_volume(rows_BND: Tensor, grid: tuple[int, int, int]) -> Tensor:
    return rows_BND.transpose(1, 2).reshape(rows_BND.shape[0], -1, *grid)


def _ratio(large: tuple[int, int, int], small: tuple[int, int, int]) -> tuple[int, int, int]:
    return (large[0] // small[0], large[1] // small[1], large[2] // small[2])


def _product(sides: tuple[int, int, int]) -> int:
    return sides[0] * sides[1] * sides[2]
