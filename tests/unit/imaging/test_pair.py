"""DWI and ADC belong together: same grid, other content, right way round."""

from __future__ import annotations

import numpy as np
import pytest

from pirta.errors import ChannelMismatchError
from pirta.imaging.pair import check_not_swapped, check_pair
from pirta.imaging.volume import Volume


def test_a_true_pair_passes_and_its_swap_does_not(brain) -> None:
    check_pair(brain.dwi, brain.adc)
    check_not_swapped(brain.dwi, brain.adc, brain.mask_XYZ)
    with pytest.raises(ChannelMismatchError, match="look swapped"):
        check_not_swapped(brain.adc, brain.dwi, brain.mask_XYZ)


@pytest.mark.parametrize("factor", [1e-3, 1.0, 1e3])
def test_a_swap_is_found_whatever_unit_the_adc_is_in(brain, factor: float) -> None:
    adc = Volume(brain.adc.data_XYZ * np.float32(factor), brain.adc.affine)
    check_not_swapped(brain.dwi, adc, brain.mask_XYZ)
    with pytest.raises(ChannelMismatchError, match="look swapped"):
        check_not_swapped(adc, brain.dwi, brain.mask_XYZ)


def test_a_huge_infarct_is_not_taken_for_a_swap(brain) -> None:
    half_XYZ = brain.mask_XYZ & (np.arange(brain.mask_XYZ.shape[0]) < 20)[:, None, None]
    dwi = Volume(np.where(half_XYZ, brain.dwi.data_XYZ * 3, brain.dwi.data_XYZ), brain.dwi.affine)
    adc = Volume(np.where(half_XYZ, brain.adc.data_XYZ / 2, brain.adc.data_XYZ), brain.adc.affine)
    check_not_swapped(dwi, adc, brain.mask_XYZ)


def test_a_brain_without_visible_fluid_is_left_undecided(brain) -> None:
    tissue_XYZ = brain.mask_XYZ & ~brain.fluid_XYZ
    check_not_swapped(brain.adc, brain.dwi, tissue_XYZ)
    check_not_swapped(brain.dwi, brain.adc, np.zeros_like(tissue_XYZ))


def test_other_shapes_are_named(brain) -> None:
    shorter = Volume(brain.adc.data_XYZ[:, :, :-1], brain.adc.affine)
    with pytest.raises(ChannelMismatchError, match="48x56x40 voxels, ADC has 48x56x39"):
        check_pair(brain.dwi, shorter)


def test_a_shift_in_space_is_told_in_millimetres(brain) -> None:
    shifted = brain.adc.affine.copy()
    shifted[1, 3] += 6.0
    with pytest.raises(ChannelMismatchError, match=r"lie 6\.0 mm apart"):
        check_pair(brain.dwi, Volume(brain.adc.data_XYZ, shifted))


def test_rounding_of_an_affine_is_no_shift(brain) -> None:
    check_pair(brain.dwi, Volume(brain.adc.data_XYZ, brain.adc.affine + 1e-4))


@pytest.mark.parametrize("factor", [1.0, 1e-3, 7.0])
def test_the_same_file_twice_is_found_even_when_rescaled(brain, factor: float) -> None:
    copy = Volume(brain.dwi.data_XYZ * np.float32(factor), brain.dwi.affine)
    with pytest.raises(ChannelMismatchError, match="hold the same data"):
        check_pair(brain.dwi, copy)
