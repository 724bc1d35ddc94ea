"""Left stays left: the 48 ways to store a volume, with their affines, give one and the same result.

A reader turns every flip and permutation into the same array with the same affine, and nothing
after it sees how the file was stored: that is shown for all 48 in NIfTI and MetaImage. A few of
them, each axis flipped and every axis moved, go the whole way to the encoder's grid.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk

from pirta.contracts.study import StudyImages
from pirta.imaging.prepare import prepare_study
from pirta.imaging.read_pair import read_pair
from pirta.imaging.strip import AlreadyStrippedStripper
from pirta.settings import PreprocessingSettings

Nifti = Callable[..., bytes]
QUICK = PreprocessingSettings(n4_fit_spacing_mm=16, n4_iterations=(5,))
TOLERANCE = 1e-4
"""Of prepared voxels (brain medians, 10⁻³ mm²/s): what rounding in an affine can do."""

WAYS = [
    (order, flips)
    for order in itertools.permutations(range(3))
    for flips in itertools.product((1, -1), repeat=3)
]
Way = tuple[tuple[int, ...], tuple[int, ...]]


def _stored(data: np.ndarray, affine: np.ndarray, way: Way) -> tuple[np.ndarray, np.ndarray]:
    """Return the array stored this way, and the affine that keeps each voxel in its place."""
    turn = np.array(list(zip(*way, strict=True)))
    return (
        nib.apply_orientation(data, turn),
        affine @ nib.orientations.inv_ornt_aff(turn, data.shape),
    )


def _oblique() -> np.ndarray:
    """3 x 3 x 5 mm, turned by 20 degrees about z and 10 about x."""
    z, x = np.deg2rad([20.0, 10.0])
    about_z = np.array([[np.cos(z), -np.sin(z), 0], [np.sin(z), np.cos(z), 0], [0, 0, 1]])
    about_x = np.array([[1, 0, 0], [0, np.cos(x), -np.sin(x)], [0, np.sin(x), np.cos(x)]])
    affine = np.eye(4)
    affine[:3, :3] = about_z @ about_x @ np.diag([3.0, 3.0, 5.0])
    affine[:3, 3] = [-20.0, -31.0, 17.0]
    return affine


def _mha(data: np.ndarray, affine: np.ndarray, folder: Path) -> bytes:
    to_lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine
    spacing_mm = np.linalg.norm(to_lps[:3, :3], axis=0)
    image = sitk.GetImageFromArray(np.ascontiguousarray(data.transpose(2, 1, 0)))
    image.SetSpacing(spacing_mm.tolist())
    image.SetDirection((to_lps[:3, :3] / spacing_mm).ravel().tolist())
    image.SetOrigin(to_lps[:3, 3].tolist())
    sitk.WriteImage(image, str(folder / "x.mha"))
    return (folder / "x.mha").read_bytes()


@pytest.mark.parametrize("form", ["nifti", "metaimage"])
def test_all_48_ways_to_store_a_pair_are_read_as_one(
    form: str, nifti: Nifti, tmp_path: Path
) -> None:
    rng = np.random.default_rng(1)
    dwi, adc = rng.uniform(1, 900, (2, 6, 8, 7)).astype(np.float32)
    expected = None
    assert len(WAYS) == 48
    for way in WAYS:
        stored = [_stored(one, _oblique(), way) for one in (dwi, adc)]
        packed = [
            nifti(*one, packed=False) if form == "nifti" else _mha(*one, tmp_path) for one in stored
        ]
        pair = read_pair(StudyImages(*packed))
        if expected is None:
            expected = pair
            np.testing.assert_array_equal(pair.dwi.data_XYZ, dwi)
        for found, known in ((pair.dwi, expected.dwi), (pair.adc, expected.adc)):
            np.testing.assert_array_equal(found.data_XYZ, known.data_XYZ)
            np.testing.assert_allclose(found.affine, _oblique(), atol=1e-4)


@pytest.mark.parametrize(
    "way",
    [((0, 1, 2), (-1, 1, 1)), ((1, 2, 0), (1, -1, 1)), ((2, 1, 0), (1, 1, -1))],
    ids=["left-right flipped", "axes moved round", "z first and flipped"],
)
def test_a_brain_prepares_to_the_same_array_however_it_is_stored(
    brain, pair: tuple[bytes, bytes], nifti: Nifti, way: Way
) -> None:
    turned = [
        nifti(*_stored(one.data_XYZ, brain.dwi.affine, way), packed=False)
        for one in (brain.dwi, brain.adc)
    ]
    # The brain's own mirror image differs, or this test could not fail.
    assert np.abs(brain.dwi.data_XYZ - brain.dwi.data_XYZ[::-1]).max() > 100
    found, expected = (
        prepare_study(StudyImages(*one), settings=QUICK, stripper=AlreadyStrippedStripper())
        for one in (turned, pair)
    )
    np.testing.assert_allclose(found.volume_CXYZ, expected.volume_CXYZ, atol=TOLERANCE)
