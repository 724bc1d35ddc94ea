"""Onto the encoder's grid: exact where the answer is known, blind to how voxels are stored.

Axis suffixes: X Y Z voxels.
"""

from __future__ import annotations

import nibabel as nib
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from pirta.contracts.study import GRID_SHAPE
from pirta.imaging.resample import (
    grid_affine,
    mask_fraction,
    resample_inside,
    resample_labels,
)

AXES = [x + y + z for x in "RL" for y in "AP" for z in "SI"]
AXES += [c[1] + c[2] + c[0] for c in AXES] + [c[1] + c[0] + c[2] for c in AXES]


def _box(shape: tuple[int, int, int], margin: int) -> NDArray[np.bool_]:
    mask_XYZ = np.zeros(shape, bool)
    mask_XYZ[margin:-margin, margin:-margin, margin:-margin] = True
    return mask_XYZ


def _affine(spacing_mm: tuple[float, float, float], degrees: tuple[float, float, float]):
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", degrees, degrees=True).as_matrix() @ np.diag(
        spacing_mm
    )
    affine[:3, 3] = [-40.0, 25.0, 13.0]
    return affine


spacings = st.tuples(*[st.sampled_from([0.9, 1.2, 2.0, 3.1, 5.0])] * 3)
angles = st.tuples(*[st.floats(-20, 20)] * 3)


@settings(max_examples=6, deadline=None)
@given(spacing_mm=spacings, degrees=angles)
def test_a_field_linear_in_space_is_reproduced_in_millimetres(spacing_mm, degrees) -> None:
    mask_XYZ = _box((30, 34, 28), 4)
    affine = _affine(spacing_mm, degrees)
    index = np.moveaxis(np.indices(mask_XYZ.shape), 0, -1)
    world_XYZ = (index @ affine[:3, :3].T + affine[:3, 3]) @ [0.7, -1.1, 0.4]
    target = grid_affine(mask_XYZ, affine)
    fraction_XYZ = mask_fraction(mask_XYZ, affine, target)
    found_XYZ = resample_inside(
        world_XYZ.astype(np.float32), mask_XYZ, fraction_XYZ, affine, target
    )
    grid = np.moveaxis(np.indices(GRID_SHAPE), 0, -1)
    true_XYZ = (grid @ target[:3, :3].T + target[:3, 3]) @ [0.7, -1.1, 0.4]
    deep_XYZ = fraction_XYZ > 1 - 1e-6
    assert deep_XYZ.any()
    np.testing.assert_allclose(found_XYZ[deep_XYZ], true_XYZ[deep_XYZ], atol=2e-3)


@settings(max_examples=6, deadline=None)
@given(axes=st.sampled_from(AXES), spacing_mm=spacings, degrees=angles)
def test_flips_and_permutations_of_the_stored_array_change_nothing(
    axes: str, spacing_mm, degrees
) -> None:
    """The tolerance is rounding: 1e-4 of the data's unit standard deviation."""
    data_XYZ = np.random.default_rng(5).normal(size=(22, 26, 18)).astype(np.float32)
    mask_XYZ = _box(data_XYZ.shape, 3)
    affine = _affine(spacing_mm, degrees)
    turn = nib.orientations.axcodes2ornt(axes)
    turned_affine = affine @ nib.orientations.inv_ornt_aff(turn, data_XYZ.shape)
    turned, turned_mask = (
        nib.orientations.apply_orientation(one, turn) for one in (data_XYZ, mask_XYZ)
    )
    results = []
    for data, mask, where in ((data_XYZ, mask_XYZ, affine), (turned, turned_mask, turned_affine)):
        target = grid_affine(mask, where)
        fraction = mask_fraction(mask, where, target)
        labels = resample_labels(mask.astype(np.uint8), where, target)
        results.append(
            (target, fraction, resample_inside(data, mask, fraction, where, target), labels)
        )
    (target, fraction, found, labels), (target_2, fraction_2, found_2, labels_2) = results
    np.testing.assert_allclose(target_2, target, atol=1e-9)
    np.testing.assert_allclose(fraction_2, fraction, atol=1e-5)
    clear = np.abs(fraction - 0.5) > 1e-4  # on the threshold itself rounding decides
    np.testing.assert_allclose(found_2[clear], found[clear], atol=1e-4)
    # A point half way between two voxels is either's, by rounding.
    assert (labels_2 != labels)[clear].mean() < 1e-4


def test_a_constant_stays_itself_up_to_the_very_edge() -> None:
    mask_XYZ = _box((60, 60, 40), 5)
    affine = _affine((1.1, 1.1, 2.0), (7, -4, 11))
    target = grid_affine(mask_XYZ, affine)
    fraction_XYZ = mask_fraction(mask_XYZ, affine, target)
    found_XYZ = resample_inside(
        np.full(mask_XYZ.shape, 3.0, np.float32), mask_XYZ, fraction_XYZ, affine, target
    )
    inside_XYZ = fraction_XYZ >= 0.5
    np.testing.assert_allclose(found_XYZ[inside_XYZ], 3.0, rtol=1e-5)
    assert not found_XYZ[~inside_XYZ].any()


def test_the_brain_keeps_its_volume_and_comes_to_the_middle() -> None:
    mask_XYZ = _box((60, 60, 40), 5)
    affine = _affine((1.1, 1.1, 2.0), (7, -4, 11))
    fraction_XYZ = mask_fraction(mask_XYZ, affine, grid_affine(mask_XYZ, affine))
    volume_ml = mask_XYZ.sum() * 1.1 * 1.1 * 2.0 / 1000
    assert abs(fraction_XYZ.sum() * 0.016 / volume_ml - 1) < 0.01
    for axis, side in enumerate(GRID_SHAPE):
        others = tuple(other for other in range(3) if other != axis)
        middle = np.average(np.arange(side), weights=fraction_XYZ.sum(others))
        assert abs(middle - (side - 1) / 2) < 0.05


def test_fine_detail_is_averaged_and_not_skipped() -> None:
    data_XYZ = np.random.default_rng(1).normal(size=(80, 80, 80)).astype(np.float32)
    mask_XYZ = np.ones(data_XYZ.shape, bool)
    affine = _affine((0.5, 0.5, 0.5), (0, 0, 0))
    target = grid_affine(mask_XYZ, affine)
    fraction_XYZ = mask_fraction(mask_XYZ, affine, target)
    found_XYZ = resample_inside(data_XYZ, mask_XYZ, fraction_XYZ, affine, target)
    assert found_XYZ[fraction_XYZ > 0.999].std() < 0.1  # picking voxels would leave 1.0


def test_a_volume_already_on_the_grid_is_left_alone() -> None:
    rng = np.random.default_rng(2)
    mask_XYZ = _box(GRID_SHAPE, 10)
    affine = _affine((2.0, 2.0, 4.0), (0, 0, 0))
    data_XYZ = rng.normal(size=GRID_SHAPE).astype(np.float32)
    target = grid_affine(mask_XYZ, affine)
    np.testing.assert_allclose(target, affine, atol=1e-9)
    found_XYZ = resample_inside(
        data_XYZ, mask_XYZ, mask_fraction(mask_XYZ, affine, target), affine, target
    )
    np.testing.assert_allclose(found_XYZ, np.where(mask_XYZ, data_XYZ, 0), atol=1e-5)
    labels_XYZ = rng.integers(0, 4, GRID_SHAPE).astype(np.uint8)
    np.testing.assert_array_equal(resample_labels(labels_XYZ, affine, target), labels_XYZ)


def test_labels_keep_their_volume_and_never_mix_into_others() -> None:
    labels_XYZ = np.zeros((60, 60, 60), np.uint8)
    labels_XYZ[10:30, 10:50, 10:50] = 1
    labels_XYZ[30:50, 10:50, 10:50] = 3
    affine = _affine((1.5, 1.5, 1.5), (5, 5, 5))
    target = grid_affine(labels_XYZ > 0, affine)
    found_XYZ = resample_labels(labels_XYZ, affine, target)
    assert set(np.unique(found_XYZ)) == {0, 1, 3}
    for label in (1, 3):
        true_ml = (labels_XYZ == label).sum() * 1.5**3 / 1000
        assert abs((found_XYZ == label).sum() * 0.016 / true_ml - 1) < 0.05


def test_a_lesion_of_one_small_voxel_survives_as_one_voxel() -> None:
    labels_XYZ = np.zeros((60, 60, 60), np.uint8)
    labels_XYZ[20, 30, 41] = 1
    affine = _affine((1.0, 1.0, 1.0), (0, 0, 0))
    target = grid_affine(np.ones(labels_XYZ.shape, bool), affine)
    found_XYZ = resample_labels(labels_XYZ, affine, target)
    assert found_XYZ.sum() == 1
    place_mm = target[:3, :3] @ np.argwhere(found_XYZ)[0] + target[:3, 3]
    true_mm = affine[:3, :3] @ [20, 30, 41] + affine[:3, 3]
    assert np.all(np.abs(place_mm - true_mm) <= [1.0, 1.0, 2.0])


def test_an_empty_mask_stays_empty_and_a_lesion_off_the_grid_is_no_error() -> None:
    affine = _affine((2.0, 2.0, 2.0), (0, 0, 0))
    labels_XYZ = np.zeros((40, 40, 200), np.uint8)
    brain_XYZ = np.zeros(labels_XYZ.shape, bool)
    brain_XYZ[10:30, 10:30, 10:30] = True
    target = grid_affine(brain_XYZ, affine)
    assert not resample_labels(labels_XYZ, affine, target).any()
    labels_XYZ[20, 20, 199] = 1
    assert not resample_labels(labels_XYZ, affine, target).any()
