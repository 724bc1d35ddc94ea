"""Patches: round trip, order against a slow reference, and no look beyond a patch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pirta.errors import GeometryError
from pirta.models.config import EncoderConfig, demo, paper, tiny
from pirta.models.patches import from_patches, take_patches, to_patches
from pirta.models.stem import NestedPatchEmbedding

Sides = st.tuples(*[st.integers(1, 3)] * 3)


@given(counts=Sides, patch=Sides, channels=st.integers(1, 3))
@settings(max_examples=30, deadline=None)
def test_patches_put_together_again_are_the_volume(
    counts: tuple[int, int, int], patch: tuple[int, int, int], channels: int
) -> None:
    sides = [count * step for count, step in zip(counts, patch, strict=True)]
    volume = torch.arange(2 * channels * np.prod(sides)).reshape(2, channels, *sides)
    patches = to_patches(volume, patch_vox=patch)
    back = from_patches(patches, patch_vox=patch, volume_vox=(sides[0], sides[1], sides[2]))
    assert torch.equal(back, volume)


def test_patches_come_in_x_y_z_order_as_in_plain_loops() -> None:
    volume = torch.randn(1, 2, 4, 6, 4)
    expected = [
        volume[0, :, x : x + 2, y : y + 3, z : z + 2].reshape(-1)
        for x in range(0, 4, 2)
        for y in range(0, 6, 3)
        for z in range(0, 4, 2)
    ]
    assert torch.equal(to_patches(volume, patch_vox=(2, 3, 2))[0], torch.stack(expected))


def test_patches_taken_are_those_of_all_patches() -> None:
    volume = torch.randn(2, 2, 4, 6, 4)
    chosen = torch.rand(2, 8) < 0.5
    expected = to_patches(volume, patch_vox=(2, 3, 2))[chosen]
    assert torch.equal(take_patches(volume, chosen, patch_vox=(2, 3, 2)), expected)


def test_a_volume_that_does_not_split_is_refused() -> None:
    with pytest.raises(GeometryError, match="does not split"):
        to_patches(torch.zeros(1, 2, 5, 4, 4), patch_vox=(2, 2, 2))


def test_changing_one_patch_changes_one_token() -> None:
    config = tiny()
    stem = NestedPatchEmbedding(config)
    volume = torch.rand(1, 2, *config.volume_vox)
    changed = volume.clone()
    changed[0, :, 16:32, 32:48, 8:16] += 1.0  # the patch at (1, 2, 1)
    with torch.inference_mode():
        moved = (stem(changed) - stem(volume)).abs().amax(dim=2)[0]
    number = (1 * config.grid[1] + 2) * config.grid[2] + 1
    assert moved.nonzero().flatten().tolist() == [number]


def test_changing_one_cell_changes_one_cell() -> None:
    config = tiny()
    stem = NestedPatchEmbedding(config)
    volume = torch.rand(1, 2, *config.volume_vox)
    changed = volume.clone()
    changed[0, :, 8:16, 0:8, 4:8] += 1.0  # cell (1, 0, 1) of the first patch
    with torch.inference_mode():
        moved = (stem.cells(changed) - stem.cells(volume)).abs().amax(dim=3)[0]
    assert moved.nonzero().tolist() == [[0, 5]]


def test_the_named_sizes_are_of_the_paper_grid() -> None:
    for config in (paper(), demo(), tiny()):
        assert config.num_tokens == 6 * 7 * 6
        assert config.cells_a_token == 8
    assert paper().dimensions == demo().dimensions == 768


def test_sides_that_do_not_divide_are_refused() -> None:
    with pytest.raises(ValueError, match="whole multiples"):
        EncoderConfig(patch_vox=(16, 16, 6))
