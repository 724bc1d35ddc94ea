"""NIfTI beyond one plain volume: several volumes in a file, and orientations that disagree."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Callable

import nibabel as nib
import numpy as np
import pytest

from pirta.errors import GeometryError, IntensityError
from pirta.imaging.nifti import is_nifti, num_volumes, read_nifti, read_nifti_volumes

Nifti = Callable[..., bytes]


@pytest.fixture
def ramp() -> np.ndarray:
    """Voxels that are all different."""
    return np.arange(6 * 7 * 8, dtype=np.float32).reshape(6, 7, 8)


def _disputed(data: np.ndarray, sform: np.ndarray, qform: np.ndarray) -> bytes:
    image = nib.Nifti1Image(data, sform)
    image.set_sform(sform, code=1)
    image.set_qform(qform, code=1)
    return image.to_bytes()


def _turned(degrees: float) -> np.ndarray:
    angle = np.deg2rad(degrees)
    turned = np.diag([10.0, 10.0, 10.0, 1.0])
    turned[:2, :2] = 10 * np.array(
        [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    )
    return turned


def test_two_orientations_that_agree_but_for_the_origin_are_no_dispute(ramp: np.ndarray) -> None:
    moved = _turned(0)
    moved[:3, 3] = 300.0
    volume = read_nifti(_disputed(ramp, _turned(0), moved), role="DWI")
    assert volume.provenance["orientation"] == "sform"


def test_two_orientations_that_turn_apart_are_noted_and_a_flip_is_refused(
    ramp: np.ndarray,
) -> None:
    volume = read_nifti(_disputed(ramp, _turned(0), _turned(20)), role="DWI")
    assert volume.provenance["orientation"] == "disputed"
    np.testing.assert_allclose(volume.affine, _turned(0))
    for qform in (_turned(180), np.diag([-10.0, 10.0, 10.0, 1.0])):
        with pytest.raises(GeometryError, match="left and right are unsure"):
            read_nifti(_disputed(ramp, _turned(0), qform), role="DWI")


def test_every_volume_of_a_series_comes_in_its_order(nifti: Nifti, ramp: np.ndarray) -> None:
    stack = np.stack([ramp, ramp * 2, ramp + 3], axis=-1)
    affine = np.diag([-1.5, 2.0, 3.0, 1.0])
    data = nifti(stack, affine)
    assert num_volumes(data, role="DWI") == 3
    for place, volume in enumerate(read_nifti_volumes(data, role="DWI")):
        alone = read_nifti(nifti(stack[..., place], affine), role="DWI")
        np.testing.assert_array_equal(volume.data_XYZ, alone.data_XYZ)
        np.testing.assert_array_equal(volume.affine, alone.affine)
    (single,) = read_nifti_volumes(nifti(ramp), role="DWI")
    np.testing.assert_array_equal(single.data_XYZ, ramp)
    stack[1, 1, 1, 2] = np.nan
    with pytest.raises(IntensityError, match=r"DWI \(volume 3 of 3\) volume has 1 NaN"):
        read_nifti_volumes(nifti(stack), role="DWI")


def test_a_series_that_claims_more_than_a_study_has_costs_no_memory(nifti: Nifti) -> None:
    raw = bytearray(nifti(np.ones((6, 6, 6), np.float32), packed=False))
    raw[40:56] = struct.pack("<8h", 4, 256, 256, 64, 900, 1, 1, 1)
    with pytest.raises(GeometryError, match="claims 900 volumes of 256x256x64"):
        read_nifti_volumes(bytes(raw), role="DWI")


def test_a_nifti_is_told_by_its_content(nifti: Nifti, ramp: np.ndarray) -> None:
    assert is_nifti(nifti(ramp))
    assert is_nifti(nifti(ramp, packed=False))
    for data in (b"", b"text", gzip.compress(b"text" * 200), b"\x1f\x8b"):
        assert not is_nifti(data)


def test_a_volume_far_from_its_world_is_refused(nifti: Nifti, ramp: np.ndarray) -> None:
    affine = np.eye(4)
    affine[1, 3] = 1e9
    with pytest.raises(GeometryError, match="more than 100000 mm off"):
        read_nifti(nifti(ramp, affine), role="DWI")
