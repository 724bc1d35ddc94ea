"""Reading NIfTI: what is refused, with which error, and that what is read is right."""

from __future__ import annotations

import gzip
import struct
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from pirta.errors import (
    FileMissingError,
    FileUnreadableError,
    GeometryError,
    IntensityError,
    PirtaError,
)
from pirta.imaging.nifti import (
    read_nifti,
    read_nifti_file,
)

Nifti = Callable[..., bytes]


@pytest.fixture
def ramp() -> np.ndarray:
    """Voxels that are all different."""
    return np.arange(6 * 7 * 8, dtype=np.float32).reshape(6, 7, 8)


def test_a_volume_comes_back_as_it_was_written(nifti: Nifti, ramp: np.ndarray) -> None:
    affine = np.diag([1.5, 2.0, 3.0, 1.0])
    for packed in (True, False):
        volume = read_nifti(nifti(ramp, affine, packed=packed), role="DWI")
        np.testing.assert_array_equal(volume.data_XYZ, ramp)
        np.testing.assert_allclose(volume.affine, affine)
        assert volume.data_XYZ.dtype == np.float32
        assert volume.spacing_mm == pytest.approx((1.5, 2.0, 3.0))
        assert volume.voxel_ml == pytest.approx(0.009)


def test_any_stored_orientation_is_turned_to_ras(nifti: Nifti, ramp: np.ndarray) -> None:
    stored = nib.Nifti1Image(ramp, np.diag([1.5, 2.0, 3.0, 1.0]))
    for axes in ("LAS", "LPS", "SRP", "AIL"):
        transform = nib.orientations.ornt_transform(
            nib.io_orientation(stored.affine), nib.orientations.axcodes2ornt(axes)
        )
        turned = stored.as_reoriented(transform)
        volume = read_nifti(nifti(np.asarray(turned.dataobj), turned.affine), role="DWI")
        np.testing.assert_array_equal(volume.data_XYZ, ramp)
        np.testing.assert_allclose(volume.affine, stored.affine)
        assert volume.provenance == {"orientation": "sform", "axes": axes}


def test_scaled_integers_are_read_as_their_values(ramp: np.ndarray) -> None:
    image = nib.Nifti1Image(ramp.astype(np.int16), np.eye(4))
    image.header.set_slope_inter(0.5, 3.0)
    raw = bytearray(image.to_bytes())
    raw[112:120] = struct.pack("<ff", 0.5, 3.0)
    np.testing.assert_allclose(read_nifti(bytes(raw), role="ADC").data_XYZ, ramp * 0.5 + 3.0)


def test_a_trailing_axis_of_one_is_dropped(nifti: Nifti, ramp: np.ndarray) -> None:
    assert read_nifti(nifti(ramp[..., None]), role="DWI").data_XYZ.shape == ramp.shape


def test_a_header_without_orientation_is_read_and_noted(ramp: np.ndarray) -> None:
    image = nib.Nifti1Image(ramp, None)
    volume = read_nifti(image.to_bytes(), role="DWI")
    assert volume.provenance["orientation"] == "assumed"


def test_an_empty_mask_is_a_mask_and_an_empty_image_is_none(nifti: Nifti) -> None:
    zeros = np.zeros((6, 6, 6), np.uint8)
    assert not read_nifti(nifti(zeros), role="mask").data_XYZ.any()
    with pytest.raises(IntensityError, match="ADC volume is empty: all voxels are zero"):
        read_nifti(nifti(zeros), role="ADC")
    with pytest.raises(IntensityError, match="the same value, 7"):
        read_nifti(nifti(zeros + 7), role="ADC")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_voxels_that_are_no_numbers_are_counted(
    nifti: Nifti, ramp: np.ndarray, value: float
) -> None:
    ramp[1, 2, 3] = value
    with pytest.raises(IntensityError, match="DWI volume has 1 NaN or infinite voxels of 336"):
        read_nifti(nifti(ramp), role="DWI")


def test_doubles_too_large_for_a_float_count_as_infinite(nifti: Nifti) -> None:
    data = np.arange(216, dtype=np.float64).reshape(6, 6, 6)
    data[0, 0, 0] = 1e300
    with pytest.raises(IntensityError, match="1 NaN or infinite"):
        read_nifti(nifti(data), role="DWI")


def test_nothing_is_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FileMissingError, match="DWI file holds no bytes"):
        read_nifti(b"", role="DWI")
    with pytest.raises(FileMissingError, match="ADC file does not exist"):
        read_nifti_file(tmp_path / "secret-name.nii.gz", role="ADC")
    with pytest.raises(FileUnreadableError, match="ADC path is a folder"):
        read_nifti_file(tmp_path, role="ADC")


def test_an_error_does_not_repeat_the_file_name(tmp_path: Path) -> None:
    path = tmp_path / "Doe_John_1950.nii.gz"
    path.write_text("hello")
    with pytest.raises(FileUnreadableError) as caught:
        read_nifti_file(path, role="DWI")
    assert "Doe" not in str(caught.value)


@pytest.mark.parametrize(
    "data",
    [
        b"this is a text file named scan.nii.gz\n" * 40,
        gzip.compress(b"text inside a gzip " * 100),
        b"\x1f\x8b",
        b"\x1f\x8b\x08\x00 no deflate stream at all, only its first bytes",
        struct.pack("<i", 348) + b"\0" * 40,
        struct.pack("<i", 348) + b"\0" * 400,
        b"\0",
    ],
    ids=["text", "packed-text", "magic-only", "bad-deflate", "short-header", "no-magic", "byte"],
)
def test_what_is_no_nifti_is_unreadable(data: bytes) -> None:
    with pytest.raises(FileUnreadableError, match="DWI"):
        read_nifti(data, role="DWI")


def test_a_file_cut_short_anywhere_is_unreadable(nifti: Nifti) -> None:
    data = np.random.default_rng(0).integers(0, 900, (8, 8, 8)).astype(np.int16)
    for packed in (True, False):
        whole = nifti(data, packed=packed)
        for kept in (1, 10, 200, len(whole) // 2, len(whole) - 9, len(whole) - 1):
            with pytest.raises(FileUnreadableError, match="DWI"):
                read_nifti(whole[:kept], role="DWI")


def test_a_flipped_byte_in_a_gzip_is_found_by_its_checksum(nifti: Nifti) -> None:
    data = np.random.default_rng(0).integers(0, 900, (8, 8, 8)).astype(np.int16)
    whole = bytearray(nifti(data))
    whole[-6] ^= 0xFF
    with pytest.raises(FileUnreadableError, match="damaged gzip"):
        read_nifti(bytes(whole), role="DWI")


@pytest.mark.parametrize(
    "shape", [(8, 8, 8, 2), (8, 8), (8, 8, 1), (8, 8, 2), (8, 8, 8, 1, 3)], ids=str
)
def test_what_is_not_3d_is_refused_with_its_shape(nifti: Nifti, shape: tuple[int, ...]) -> None:
    data = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    text = "x".join(map(str, shape))
    with pytest.raises(GeometryError, match=f"DWI.*{text}"):
        read_nifti(nifti(data), role="DWI")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ([np.nan, 0, 0, 0], "NaN or infinity"),
        ([0, 0, 0, 0], "spacing is 0 "),
        ([0.002, 0, 0, 0], "spacing is 0.002"),
        ([300, 0, 0, 0], "spacing is 300"),
    ],
)
def test_an_absurd_affine_is_refused(ramp: np.ndarray, row: list[float], message: str) -> None:
    raw = bytearray(nib.Nifti1Image(ramp, np.eye(4)).to_bytes())
    raw[280:296] = struct.pack("<4f", *row)
    with pytest.raises(GeometryError, match=message):
        read_nifti(bytes(raw), role="DWI")


def test_two_axes_that_run_the_same_way_are_refused(ramp: np.ndarray) -> None:
    raw = bytearray(nib.Nifti1Image(ramp, np.eye(4)).to_bytes())
    raw[280:328] = struct.pack("<12f", 1, 1, 0, 0, 1, 1, 0, 0, 0, 0, 1, 0)
    with pytest.raises(GeometryError, match="singular"):
        read_nifti(bytes(raw), role="DWI")


def test_a_header_that_claims_a_huge_volume_costs_no_memory(nifti: Nifti) -> None:
    raw = bytearray(nifti(np.ones((6, 6, 6), np.float32), packed=False))
    raw[40:56] = struct.pack("<8h", 3, 32767, 32767, 32767, 1, 1, 1, 1)
    tracemalloc.start()
    try:
        with pytest.raises(GeometryError, match="above the limit"):
            read_nifti(gzip.compress(bytes(raw)), role="DWI")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2e6


def test_a_gzip_bomb_is_unpacked_no_further_than_its_header_says(nifti: Nifti) -> None:
    raw = nifti(np.arange(216, dtype=np.float32).reshape(6, 6, 6), packed=False)
    bomb = gzip.compress(raw + bytes(20_000_000), 1)
    tracemalloc.start()
    try:
        assert read_nifti(bomb, role="DWI").data_XYZ.max() == 215
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 4e6


@pytest.mark.parametrize("dtype", [np.complex64, np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")])])
def test_voxels_of_no_real_number_type_are_refused(nifti: Nifti, dtype: np.dtype) -> None:
    with pytest.raises(FileUnreadableError, match="real numbers"):
        read_nifti(nifti(np.zeros((6, 6, 6), dtype)), role="DWI")


def test_any_damage_to_a_header_gives_an_error_for_people_or_a_sane_volume(nifti: Nifti) -> None:
    whole = nifti(np.arange(216, dtype=np.int16).reshape(6, 6, 6), packed=False)
    rng = np.random.default_rng(3)
    num_refused = 0
    for _ in range(400):
        raw = bytearray(whole)
        for place in rng.integers(0, 352, 3):
            raw[place] = int(rng.integers(0, 256))
        try:
            volume = read_nifti(bytes(raw), role="DWI")
        except PirtaError:
            num_refused += 1
        else:
            assert np.isfinite(volume.data_XYZ).all()
            assert np.isfinite(volume.affine).all()
    assert 0 < num_refused < 400
