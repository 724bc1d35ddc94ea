"""The encoder's eyes: from the voxels of a volume to the features of its cells and tokens.

Three of four cells hold no brain, and all of those look the same: one is computed for all. What
is computed is cut from the volume in one copy, in the order in which it is read.

Axis suffixes: B batch, C channels (0 DWI in brain medians, 1 ADC in 10⁻³ mm²/s, background 0),
X Y Z voxels (RAS+), N patches in X-Y-Z order, K patches that are looked at, M cells of a patch in
X-Y-Z order, D features, R cells that hold brain in the whole batch, S runs of voxels along Z
that stay together when a cell is cut, V voxels of a run, F sub-patches of a cell.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from pirta.errors import GeometryError
from pirta.models.config import EncoderConfig
from pirta.models.patches import to_patches

# Where the typical voxel of a brain lies, and the brightest that still tells something.
_DWI_CENTRE, _DWI_LIMIT = 1.0, 8.0
_ADC_CENTRE, _ADC_LIMIT = 0.9, 4.0

_VOLUME_CHANNELS = 2
_STEM_CHANNELS = 3  # DWI, ADC, restriction: see `scale_volume`
_WORD_BYTES = 8


class NestedPatchEmbedding(nn.Module):
    """Patch embedding in three steps, none of which looks beyond its patch.

    4x4x2 voxels, then 8x8x4 (a cell), then the patch: a 32 mm patch through one linear layer
    blurs a lacune away, and a stem of overlapping convolutions would show masked patches to
    their neighbours in MAE. Takes the place of MONAI's `PatchEmbeddingBlock` in its ViT and MAE.
    """

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        (first, second), (width1, width2) = config.stem_vox, config.stem_widths
        self.n_patches = config.num_tokens
        self._volume_vox, self._fine_vox, self._cell_vox = config.volume_vox, first, second
        self._patch_cells = _ratio(config.patch_vox, second)
        self._fine_a_cell = _product(_ratio(second, first))
        self.first = nn.Linear(_STEM_CHANNELS * _product(first), width1)
        self.second = nn.Linear(width1 * self._fine_a_cell, width2)
        self.norm = nn.LayerNorm(width2)
        self.third = nn.Linear(width2 * config.cells_a_token, config.hidden_size)
        self.position_embeddings = nn.Parameter(
            torch.empty(1, config.num_tokens, config.hidden_size).normal_(std=0.02)
        )
        runs_NMS = _run_numbers(config)
        self.register_buffer("_first_run_NM", runs_NMS[..., 0].clone(), persistent=False)
        self.register_buffer("_run_steps_S", runs_NMS[0, 0].clone(), persistent=False)

    def cells(
        self,
        volume_BCXYZ: Tensor,
        kept_BK: Tensor | None = None,
        *,
        brain_BNM: Tensor | None = None,
    ) -> Tensor:
        """Return the features of each cell, shape `(B, N, M, D)`.

        Args:
            volume_BCXYZ: of any floating type; half precision means half to copy.
            kept_BK: numbers of the patches to look at; the shape is `(B, K, M, D)` then.
            brain_BNM: what `holds_brain` said, where it was asked already.

        Raises:
            GeometryError: the volumes are not of the encoder's two channels and grid.
        """
        volume_BCXYZ = self._on_grid(volume_BCXYZ)
        holds_brain = self.holds_brain(volume_BCXYZ) if brain_BNM is None else brain_BNM
        first_run = cast(Tensor, self._first_run_NM).expand_as(holds_brain)
        if kept_BK is not None:
            index_BKM = kept_BK[:, :, None].expand(-1, -1, holds_brain.shape[2])
            holds_brain, first_run = (
                holds_brain.gather(1, index_BKM),
                first_run.gather(1, index_BKM),
            )
        values = self._cut(volume_BCXYZ, first_run[holds_brain], holds_brain.nonzero()[:, 0])
        # The row after the last is what every cell without brain looks like.
        empty = values.new_zeros(1, *values.shape[1:])
        features_RD = self._features(torch.cat([values, empty]))
        row_BNM = torch.full_like(first_run, len(values), memory_format=torch.contiguous_format)
        row_BNM[holds_brain] = torch.arange(len(values), device=row_BNM.device)
        return features_RD.index_select(0, row_BNM.flatten()).view(*row_BNM.shape, -1)

    def from_cells(self, cells_BNMD: Tensor, kept_BK: Tensor | None = None) -> Tensor:
        """Return the tokens of a volume's cells with their positions, shape `(B, N, hidden)`.

        Where `kept_BK` says which patches the cells are of, the shape is `(B, K, hidden)`.
        """
        places: Tensor = self.position_embeddings
        if kept_BK is not None:
            places = places[0][kept_BK]
        return cast(Tensor, self.third(cells_BNMD.flatten(2)) + places)

    def forward(self, volume_BCXYZ: Tensor, kept_BK: Tensor | None = None) -> Tensor:
        """Return the tokens of a volume with their positions, shape `(B, N, hidden)`."""
        return self.from_cells(self.cells(volume_BCXYZ, kept_BK), kept_BK)

    def _on_grid(self, volume_BCXYZ: Tensor) -> Tensor:
        expected = (_VOLUME_CHANNELS, *self._volume_vox)
        if volume_BCXYZ.shape[1:] != expected:
            raise GeometryError(
                f"The encoder got volumes of shape {tuple(volume_BCXYZ.shape[1:])}, not "
                f"{expected}.",
                remedy="Prepare studies on the encoder's grid first.",
            )
        return volume_BCXYZ.contiguous()

    def holds_brain(self, volume_BCXYZ: Tensor) -> Tensor:
        """Return for each cell whether it has a value that is not 0, shape `(B, N, M)`."""
        cell, (x, y, z) = self._cell_vox, _ratio(self._volume_vox, self._cell_vox)
        # Whole words are compared several times faster than values. NaN is not 0 either way.
        words = cell[2] * volume_BCXYZ.element_size() % _WORD_BYTES == 0
        values = volume_BCXYZ.view(torch.int64) if words else volume_BCXYZ
        is_set = values != 0
        split = is_set.view(len(values), _VOLUME_CHANNELS, x, cell[0], y, cell[1], z, -1)
        found_BXYZ = split.any(5).any(3).any(1).any(-1)
        return to_patches(found_BXYZ[:, None], patch_vox=self._patch_cells)

    def _cut(self, volume_BCXYZ: Tensor, first_run_R: Tensor, volume_R: Tensor) -> Tensor:
        """Return the cells that start at these runs, shape `(R, F, C, values)`."""
        runs = volume_BCXYZ.view(-1, self._fine_vox[2])
        start_R = first_run_R + volume_R * (len(runs) // len(volume_BCXYZ))
        run_RS = start_R[:, None] + cast(Tensor, self._run_steps_S)
        values = runs.index_select(0, run_RS.flatten())
        shape = (self._fine_a_cell, _VOLUME_CHANNELS, _product(self._fine_vox))
        return values.view(len(start_R), *shape)  # sizes in full: there may be no cell at all

    def _features(self, values_RFCV: Tensor) -> Tensor:
        """Return the features of cut cells, shape `(R, D)`."""
        scaled = scale_volume(values_RFCV.flatten(0, 1)).flatten(1)
        fine = nn.functional.relu(self.first(scaled)).view(len(values_RFCV), -1)
        # The layer is stored for features first and sub-patches second; they come the other way.
        weight = self.second.weight.view(len(self.second.weight), -1, self._fine_a_cell).mT.flatten(
            1
        )
        cells = nn.functional.linear(fine, weight, self.second.bias)
        return nn.functional.gelu(self.norm(cells))


def scale_volume(volume: Tensor) -> Tensor:
    """Return DWI and ADC centred on the brain and capped, and their restriction beside them.

    The third channel is what a reader looks for, bright on DWI and dark on ADC at one place:
    `max(DWI - 1, 0) · max(1 - ADC, 0)`. It holds nothing new, but a linear stem cannot multiply
    and would need many cases to learn to. Shape `(B, 3, X, Y, Z)` in float32; the axes after the
    channels may be any.
    """
    dwi, adc = _capped(volume)
    inside = adc > 0  # the background has ADC 0, which is no restriction
    restriction = (dwi - 1.0).clamp(min=0.0) * (1.0 - adc).clamp(min=0.0) * inside
    return torch.cat([dwi - _DWI_CENTRE, adc - _ADC_CENTRE, restriction], dim=1)


def centre_volume(volume: Tensor) -> Tensor:
    """Return the first two channels of `scale_volume`: what MAE's decoder has to draw."""
    dwi, adc = _capped(volume)
    return torch.cat([dwi - _DWI_CENTRE, adc - _ADC_CENTRE], dim=1)


def _capped(volume: Tensor) -> tuple[Tensor, Tensor]:
    dwi = volume[:, :1].float().clamp(0.0, _DWI_LIMIT)
    return dwi, volume[:, 1:].float().clamp(0.0, _ADC_LIMIT)


def _run_numbers(config: EncoderConfig) -> Tensor:
    """Return the numbers of each cell's runs in a volume that lies as C-X-Y-Z, `(N, M, S)`.

    A cell's runs are in the order F, C, X, Y: as the stem's first layer reads them.
    """
    fine, cell = config.stem_vox
    tokens, cells, parts = config.grid, _ratio(config.patch_vox, cell), _ratio(cell, fine)
    x, y, z = config.volume_vox
    numbers = torch.arange(_VOLUME_CHANNELS * x * y * (z // fine[2]))
    split = numbers.view(
        _VOLUME_CHANNELS,
        *(tokens[0], cells[0], parts[0], fine[0]),
        *(tokens[1], cells[1], parts[1], fine[1]),
        *(tokens[2], cells[2], parts[2]),
    )
    ordered = split.permute(1, 5, 9, 2, 6, 10, 3, 7, 11, 0, 4, 8)
    return ordered.reshape(config.num_tokens, config.cells_a_token, -1)


def _ratio(large: tuple[int, int, int], small: tuple[int, int, int]) -> tuple[int, int, int]:
    return (large[0] // small[0], large[1] // small[1], large[2] // small[2])


def _product(sides: tuple[int, int, int]) -> int:
    return sides[0] * sides[1] * sides[2]
