"""Coverage, slices and motion against slow, obvious references and known answers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from pirta.imaging.quality.adc import outside_percent
from pirta.imaging.quality.coverage import cut_percent, extents_mm, gap_percent, num_blank_slices
from pirta.imaging.quality.left_out import left_out_percent
from pirta.imaging.quality.motion import shift_mm
from pirta.imaging.quality.sampling import gap_between_percent, in_plane_mm, step_mm
from pirta.imaging.quality.signal import clipped_percent, darkest_percent
from pirta.imaging.volume import Volume, slice_axis


def _stack(areas: list[int], axis: int = 2) -> tuple[np.ndarray, Volume]:
    """A brain with these areas along an axis whose step is the longest."""
    brain = np.zeros((10, 10, len(areas)), bool)
    for place, area in enumerate(areas):
        brain[:, :, place].flat[:area] = True
    brain = np.moveaxis(brain, 2, axis)
    spacing = [2.0, 2.0, 2.0]
    spacing[axis] = 5.0
    return brain, Volume(brain.astype(np.float32), np.diag([*spacing, 1.0]))


def _slow_gap(areas: list[int]) -> float:
    whole = [min(max(areas[: place + 1]), max(areas[place:])) for place in range(len(areas))]
    return 100 * sum(w - a for w, a in zip(whole, areas, strict=True)) / sum(whole)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 100), min_size=3, max_size=12).filter(any), st.integers(0, 2))
def test_gaps_are_those_of_the_plain_definition(areas: list[int], axis: int) -> None:
    brain, dwi = _stack(areas, axis)
    assert gap_percent(brain, dwi) == pytest.approx(_slow_gap(areas))
    assert gap_percent(brain, dwi) == gap_percent(brain[::-1, ::-1, ::-1], dwi_flipped(dwi))


def dwi_flipped(dwi: Volume) -> Volume:
    return replace(dwi, data_XYZ=dwi.data_XYZ[::-1, ::-1, ::-1])


def test_height_and_cut_edges_are_those_of_the_slices() -> None:
    brain, dwi = _stack([0, 30, 60, 100, 80, 40])
    assert extents_mm(brain, dwi) == (20.0, 20.0, 25.0)
    brain[:] = False
    brain[2:8, 2:8, 1] = brain[2:8, 2:8, 2] = True
    assert cut_percent(brain) == 0.0
    brain[4:7, 4:7, 5] = True
    assert cut_percent(brain) == pytest.approx(100 * 9 / 36)
    empty = np.zeros_like(brain)
    assert extents_mm(empty, dwi) == (0, 0, 0)
    assert (cut_percent(empty), gap_percent(empty, dwi)) == (0, 0)


def test_only_empty_slices_between_others_are_blank(head: Any) -> None:
    data = head.pair.dwi.data_XYZ.copy()
    data[:, :, :4] = 0
    data[:, :, -2:] = 0
    assert num_blank_slices(Volume(data, head.pair.dwi.affine)) == 0
    data[:, :, [9, 20, 21]] = 0
    assert num_blank_slices(Volume(data, head.pair.dwi.affine)) == 3
    assert num_blank_slices(Volume(np.zeros_like(data), head.pair.dwi.affine)) == 0


def test_a_mask_that_lost_a_third_of_the_brain_is_found_out(head: Any) -> None:
    assert left_out_percent(head.pair.dwi, head.brain_XYZ) == 0.0
    third = head.brain_XYZ.copy()
    third[:35] = False
    assert left_out_percent(head.pair.dwi, third) > 10
    shaved = ndimage.binary_erosion(head.brain_XYZ, np.ones((3, 3, 1)))
    assert left_out_percent(head.pair.dwi, shaved) == 0.0


def test_the_longest_step_tells_the_slices_axis_and_z_where_none_is() -> None:
    assert [slice_axis(one) for one in ((5, 1, 1), (1, 5, 1), (1, 1, 5))] == [0, 1, 2]
    assert [slice_axis(one) for one in ((2, 2, 2), (2.2, 2, 2), (1, 1, 0.9))] == [2, 2, 2]
    volume = Volume(np.zeros((5, 5, 5), np.float32), np.diag([5.0, 1.2, 1.1, 1.0]))
    assert (step_mm(volume), in_plane_mm(volume)) == (5.0, 1.2)
    assert gap_between_percent(volume, 4.0) == pytest.approx(25.0)
    assert gap_between_percent(volume, 8.0) == 0.0


@pytest.mark.parametrize("factor", [0.2, 0.5, 0.8])
def test_a_dimmed_slice_shows_its_factor(head: Any, factor: float) -> None:
    data = head.pair.dwi.data_XYZ.copy()
    data[:, :, 18] *= factor
    found = darkest_percent(replace(head.pair.dwi, data_XYZ=data), head.brain_XYZ)
    assert found == pytest.approx(100 * factor, abs=3)


def test_two_dim_slices_side_by_side_do_not_hide_each_other(head: Any) -> None:
    data = head.pair.dwi.data_XYZ.copy()
    data[:, :, 18:20] *= 0.4
    found = darkest_percent(replace(head.pair.dwi, data_XYZ=data), head.brain_XYZ)
    assert found is not None
    assert found < 60


def test_too_few_slices_have_no_neighbours_to_compare(head: Any) -> None:
    brain = np.zeros_like(head.brain_XYZ)
    brain[:, :, 20:22] = head.brain_XYZ[:, :, 20:22]
    assert darkest_percent(head.pair.dwi, brain) is None


def test_clipping_is_the_worst_slices_share_and_one_maximum_is_none(head: Any) -> None:
    assert clipped_percent(head.pair.dwi, head.brain_XYZ) == 0.0
    data = head.pair.dwi.data_XYZ.copy()
    peak = data.max() + 1
    places = np.argwhere(head.brain_XYZ[:, :, 20])
    for x, y in places[::10]:
        data[x, y, 20] = peak
    found = clipped_percent(replace(head.pair.dwi, data_XYZ=data), head.brain_XYZ)
    assert found == pytest.approx(10, abs=0.2)


@pytest.mark.parametrize("shift_vox", [(0, 0, 0), (2, 0, 0), (0, -3, 0), (0, 0, 1), (1, 2, -1)])
def test_a_shifted_b0_is_found_to_the_millimetre(
    head: Any, shift_vox: tuple[int, int, int]
) -> None:
    b0 = head.pair.b0
    moved = replace(b0, data_XYZ=np.roll(b0.data_XYZ, shift_vox, axis=(0, 1, 2)))
    expected_mm = float(np.linalg.norm(np.multiply(shift_vox, b0.spacing_mm)))
    assert shift_mm(head.pair.dwi, moved, head.brain_XYZ) == pytest.approx(expected_mm, abs=1.0)


def test_images_without_edges_have_no_shift(head: Any) -> None:
    flat = replace(head.pair.b0, data_XYZ=np.ones_like(head.pair.b0.data_XYZ))
    assert shift_mm(head.pair.dwi, flat, head.brain_XYZ) is None
    thin = Volume(np.ones((5, 5, 5), np.float32), np.diag([0.2, 0.2, 0.2, 1.0]))
    assert shift_mm(thin, thin, np.ones((5, 5, 5), bool)) is None


def test_an_adc_that_nothing_has_is_counted_in_any_unit() -> None:
    brain = np.array([[[True, True, True, True, True, False]]])
    adc = np.array([[[0.8, 3.0, 4.1, 0.0, -1.0, 9.0]]], np.float32)
    assert outside_percent(adc, brain, factor=1.0) == pytest.approx(60)
    assert outside_percent(adc * 1000, brain, factor=1e-3) == pytest.approx(60)
    assert outside_percent(adc, np.zeros_like(brain), factor=1.0) == 100
