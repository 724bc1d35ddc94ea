"""Reading MetaImage: held against SimpleITK, and refused where it cannot be believed."""

from __future__ import annotations

import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from pirta.errors import (
    FileMissingError,
    FileUnreadableError,
    GeometryError,
    IntensityError,
    PirtaError,
)
from pirta.imaging.metaimage import is_metaimage, read_metaimage

DATA_XYZ = np.arange(6 * 7 * 8, dtype=np.int16).reshape(6, 7, 8)
OBLIQUE = (0.8, -0.6, 0.0, 0.6, 0.8, 0.0, 0.0, 0.0, 1.0)
FLIPPED = (0.0, -1.0, 0.0, 0.0, 0.0, 1.0, -1.0, 0.0, 0.0)


def _write(
    folder: Path,
    data_XYZ: np.ndarray = DATA_XYZ,
    direction: tuple[float, ...] = OBLIQUE,
    *,
    packed: bool = False,
) -> bytes:
    image = sitk.GetImageFromArray(np.ascontiguousarray(data_XYZ.transpose(2, 1, 0)))
    image.SetSpacing((1.5, 2.0, 3.0))
    image.SetOrigin((-10.0, 20.0, 30.0))
    image.SetDirection(direction)
    sitk.WriteImage(image, str(folder / "x.mha"), useCompression=packed)
    return (folder / "x.mha").read_bytes()


@pytest.mark.parametrize("direction", [OBLIQUE, FLIPPED], ids=["oblique", "permuted"])
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int32, np.float32, np.float64])
def test_every_voxel_lies_where_simpleitk_says(
    tmp_path: Path, direction: tuple[float, ...], packed: bool, dtype: type
) -> None:
    data_XYZ = (DATA_XYZ % 251).astype(dtype)
    volume = read_metaimage(_write(tmp_path, data_XYZ, direction, packed=packed), role="DWI")
    image = sitk.ReadImage(str(tmp_path / "x.mha"))
    to_index = np.linalg.inv(volume.affine)
    for index in [(0, 0, 0), (5, 0, 0), (0, 6, 0), (0, 0, 7), (2, 3, 4)]:
        x_mm, y_mm, z_mm = image.TransformIndexToPhysicalPoint(index)  # LPS
        found = to_index @ [-x_mm, -y_mm, z_mm, 1]
        np.testing.assert_allclose(found, np.rint(found), atol=1e-6)
        place = tuple(np.rint(found[:3]).astype(int))
        assert volume.data_XYZ[place] == image[index] == data_XYZ[index]
    assert np.argmax(np.abs(volume.affine[:3, :3]), axis=0).tolist() == [0, 1, 2]
    assert np.all(np.diag(volume.affine)[:3] > 0)
    assert volume.provenance["orientation"] == "directions"


def test_big_endian_voxels_and_the_older_names_of_fields_are_read() -> None:
    header = (
        "NDims = 3\nElementByteOrderMSB = True\nPosition = 0 0 0\nElementSize = 1 1 2\r\n"
        "DimSize = 6 7 8\nElementType = MET_SHORT\nElementDataFile = LOCAL\n"
    )
    data = header.encode() + DATA_XYZ.astype(">i2").tobytes(order="F")
    volume = read_metaimage(data, role="DWI")
    np.testing.assert_array_equal(volume.data_XYZ, DATA_XYZ[::-1, ::-1])
    assert volume.provenance == {"orientation": "assumed", "axes": "LPS"}
    assert volume.spacing_mm == (1, 1, 2)


@pytest.mark.parametrize(
    ("old", "new", "kind", "words"),
    [
        ("NDims = 3", "NDims = 4", GeometryError, "is 4D"),
        ("DimSize = 6 7 8", "DimSize = 6 7", FileUnreadableError, "DimSize is not 3 numbers"),
        ("DimSize = 6 7 8", "DimSize = 6 7 1", GeometryError, "6x7x1"),
        ("DimSize = 6 7 8", "DimSize = 6 7 9", FileUnreadableError, "672 of 756 bytes"),
        ("DimSize = 6 7 8", "DimSize = 6 7 -8", GeometryError, "whole numbers"),
        ("DimSize = 6 7 8", "DimSize = 6 7 nan", FileUnreadableError, "DimSize is not 3 numbers"),
        ("DimSize = 6 7 8", "DimSize = 9999 9999 99", GeometryError, "above the limit"),
        ("MET_SHORT", "MET_OTHER", FileUnreadableError, "another type; one real number"),
        ("MET_SHORT", "MET_STRING", FileUnreadableError, "one real number is needed"),
        ("Spacing = 1.5", "Spacing = 0.0", GeometryError, "spacing is 0 "),
        ("Spacing = 1.5", "Spacing = inf", FileUnreadableError, "ElementSpacing is not 3"),
        ("Matrix = 0.8", "Matrix = x", FileUnreadableError, "TransformMatrix is not 9"),
        ("= LOCAL", "= other.raw", FileUnreadableError, "in another file"),
        ("BinaryData = True", "BinaryData = False", FileUnreadableError, "are text"),
        ("CompressedData = False", "CompressedData = True", FileUnreadableError, "damaged"),
        ("ElementType", "Type", FileUnreadableError, "states no ElementType"),
        ("ElementDataFile", "No line", FileUnreadableError, "has no end"),
    ],
)
def test_a_header_that_cannot_be_is_refused(
    tmp_path: Path, old: str, new: str, kind: type[PirtaError], words: str
) -> None:
    whole = _write(tmp_path)
    assert old.encode() in whole
    with pytest.raises(kind, match=words):
        read_metaimage(whole.replace(old.encode(), new.encode()), role="DWI")


def test_no_bytes_no_header_and_no_content_are_told(tmp_path: Path) -> None:
    with pytest.raises(FileMissingError, match="DWI file holds no bytes"):
        read_metaimage(b"", role="DWI")
    with pytest.raises(FileUnreadableError, match="is no MetaImage"):
        read_metaimage(b"hello = world\n", role="DWI")
    with pytest.raises(IntensityError, match="all voxels are zero"):
        read_metaimage(_write(tmp_path, DATA_XYZ * 0), role="DWI")
    values = DATA_XYZ.astype(np.float32)
    values[0, 0, 0] = np.nan
    with pytest.raises(IntensityError, match="1 NaN"):
        read_metaimage(_write(tmp_path, values), role="ADC")


def test_a_packed_file_is_unpacked_no_further_than_its_header_says(tmp_path: Path) -> None:
    head = _write(tmp_path).split(b"LOCAL\n")[0].replace(b"sedData = False", b"sedData = True")
    bomb = head + b"LOCAL\n" + zlib.compress(DATA_XYZ.tobytes(order="F") + bytes(20_000_000), 1)
    tracemalloc.start()
    try:
        with pytest.raises(FileUnreadableError, match="more or less than its voxels"):
            read_metaimage(bomb, role="DWI")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 4e6


def test_a_flipped_bit_in_packed_voxels_is_found_by_their_checksum(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 900, (6, 7, 8)).astype(np.int16)
    whole = bytearray(_write(tmp_path, noise, packed=True))
    whole[-2] ^= 0xFF
    with pytest.raises(FileUnreadableError, match="damaged"):
        read_metaimage(bytes(whole), role="DWI")


def test_any_damage_gives_an_error_for_people_or_a_sane_volume(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    num_refused = 0
    for whole in (_write(tmp_path), _write(tmp_path, packed=True)):
        for _ in range(200):
            kept = int(rng.choice([len(whole), rng.integers(1, len(whole))]))
            raw = bytearray(whole[:kept])
            for place in rng.integers(0, len(raw), 2):
                raw[place] = int(rng.integers(0, 256))
            try:
                volume = read_metaimage(bytes(raw), role="DWI")
            except PirtaError:
                num_refused += 1
            else:
                assert np.isfinite(volume.data_XYZ).all()
                assert np.isfinite(volume.affine).all()
    assert 0 < num_refused < 400


def test_a_metaimage_is_told_by_its_content(tmp_path: Path) -> None:
    assert is_metaimage(_write(tmp_path))
    for data in (b"", b"a = b\n", bytes(600), b"ObjectType Image\n"):
        assert not is_metaimage(data)


def test_keys_that_simpleitk_carries_over_from_dicom_are_passed_by(tmp_path: Path) -> None:
    plain = read_metaimage(_write(tmp_path), role="DWI")
    image = sitk.ReadImage(str(tmp_path / "x.mha"))
    for key in ("0008|0060", "ITK_InputFilterName", "0018|9087"):
        image.SetMetaData(key, "MR = 1")
    sitk.WriteImage(image, str(tmp_path / "y.mha"))
    data = (tmp_path / "y.mha").read_bytes()
    assert b"0008|0060 = MR" in data
    found = read_metaimage(data, role="DWI")
    np.testing.assert_array_equal(found.data_XYZ, plain.data_XYZ)
    np.testing.assert_array_equal(found.affine, plain.affine)
