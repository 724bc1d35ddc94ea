"""Telling a stripped volume from a head, and a brain from no brain. deepbet itself: tests/ray."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from pirta.errors import BrainNotFoundError
from pirta.imaging.strip import (
    AlreadyStrippedStripper,
    AutoStripper,
    DeepbetStripper,
    check_brain,
    is_stripped,
    make_stripper,
)
from pirta.imaging.volume import Volume
from pirta.settings import PreprocessingSettings


@pytest.fixture
def head(brain) -> Volume:
    """The toy brain in a dark skull and a dim scalp, in blanked air."""
    skull_XYZ = ndimage.binary_dilation(brain.mask_XYZ, iterations=2)
    scalp_XYZ = ndimage.binary_dilation(skull_XYZ, iterations=2)
    data_XYZ = np.where(scalp_XYZ, np.float32(40), np.float32(0))
    data_XYZ = np.where(skull_XYZ, np.float32(8), data_XYZ)
    return Volume(np.where(brain.mask_XYZ, brain.dwi.data_XYZ, data_XYZ), brain.dwi.affine)


def test_a_stripped_brain_is_taken_as_it_is(brain) -> None:
    assert is_stripped(brain.dwi)
    stripper = make_stripper(PreprocessingSettings())
    assert isinstance(stripper, AutoStripper)
    assert stripper.method(brain.dwi) == "already-stripped"
    np.testing.assert_array_equal(stripper.strip(brain.dwi), brain.mask_XYZ)


def test_a_head_in_blanked_air_is_not_taken_for_a_stripped_brain(head: Volume) -> None:
    assert (head.data_XYZ == 0).mean() > 0.3
    assert not is_stripped(head)
    assert AutoStripper().method(head) == "deepbet"


def test_a_head_whose_skull_is_blanked_too_is_not_taken_for_stripped(head: Volume) -> None:
    assert not is_stripped(Volume(np.where(head.data_XYZ > 10, head.data_XYZ, 0), head.affine))


def test_a_head_in_noisy_air_is_not_taken_for_stripped(brain) -> None:
    noise_XYZ = np.random.default_rng(0).rayleigh(4, brain.mask_XYZ.shape).astype(np.float32)
    assert not is_stripped(Volume(brain.dwi.data_XYZ + noise_XYZ, brain.dwi.affine))


def test_holes_and_stray_voxels_do_not_change_the_mask(brain) -> None:
    data_XYZ = brain.dwi.data_XYZ.copy()
    data_XYZ[20:28, 24:30, 18:22] = 0
    data_XYZ[0, 0, 0] = 50
    mask_XYZ = AlreadyStrippedStripper().strip(Volume(data_XYZ, brain.dwi.affine))
    np.testing.assert_array_equal(mask_XYZ, brain.mask_XYZ)


class WatchingNetwork:
    """Stands in for deepbet's: the brain is what shines, and what it was shown is kept."""

    def __init__(self) -> None:
        self.shown_XYZ = np.empty(0, np.float32)

    def run_model(self, data_XYZ: np.ndarray) -> np.ndarray:
        self.shown_XYZ = data_XYZ
        return (data_XYZ > 20).astype(np.float32)

    def postprocess(self, mask_XYZ: np.ndarray) -> np.ndarray:
        return mask_XYZ


@pytest.mark.parametrize(("first", "last", "num_shown"), [(0, 40, 40), (10, 22, 38), (10, 23, 39)])
def test_a_volume_lower_than_a_head_is_shown_to_deepbet_with_empty_slices_around_it(
    brain, first: int, last: int, num_shown: int
) -> None:
    stripper = DeepbetStripper.__new__(DeepbetStripper)
    stripper._network = network = WatchingNetwork()
    data_XYZ = brain.dwi.data_XYZ[:, :, first:last]
    mask_XYZ = stripper.strip(Volume(data_XYZ, brain.dwi.affine))
    assert network.shown_XYZ.shape == (48, 56, num_shown)
    margin = (num_shown - (last - first)) // 2
    np.testing.assert_array_equal(network.shown_XYZ[:, :, margin : margin + last - first], data_XYZ)
    assert not network.shown_XYZ[:, :, :margin].any()
    np.testing.assert_array_equal(mask_XYZ, data_XYZ > 20)


def test_an_empty_volume_has_no_brain(brain) -> None:
    empty = Volume(np.zeros_like(brain.dwi.data_XYZ), brain.dwi.affine)
    assert not is_stripped(empty)
    with pytest.raises(BrainNotFoundError, match="No brain was found"):
        AlreadyStrippedStripper().strip(empty)


def test_a_brain_volume_outside_the_possible_is_refused_in_ml(brain) -> None:
    expected_ml = brain.mask_XYZ.sum() * 0.064
    assert check_brain(brain.mask_XYZ, brain.dwi) == pytest.approx(expected_ml)
    for mask_XYZ in (np.zeros_like(brain.mask_XYZ), np.ones_like(brain.mask_XYZ)):
        with pytest.raises(BrainNotFoundError, match="ml is possible"):
            check_brain(mask_XYZ, brain.dwi)
