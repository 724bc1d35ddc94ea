"""Siemens mosaics, written here tile by tile with a CSA header of their own, read back."""

from __future__ import annotations

import struct
from types import SimpleNamespace

import numpy as np
import pytest
from pydicom.dataset import FileDataset

from pirta.errors import FileUnreadableError, SeriesError
from pirta.imaging.dicom.read import read_dicom_pair

RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0])
UPWARDS = np.array([[0, -1], [1, -1], [2, 1]])
DOWNWARDS = np.array([[0, -1], [1, -1], [2, -1]])
ODD_ROWS = np.array([[1, -1], [0, 1], [2, -1]])


def csa_header(**tags: list[str]) -> bytes:
    """Return a CSA2 header as Siemens writes it: each value as text in an item of its own."""
    out = b"SV10\x04\x03\x02\x01" + struct.pack("<II", len(tags), 77)
    for name, values in tags.items():
        out += struct.pack("<64si4siii", name.encode(), len(values), b"FD\0\0", 4, len(values), 77)
        for value in values:
            data = value.encode() + b"\0"
            out += struct.pack("<iiii", len(data), len(data), 77, len(data))
            out += data + b"\0" * (-len(data) % 4)
    return out


def mosaic(
    dicom: SimpleNamespace, series: object, *, with_normal: bool = True, **more: list[str]
) -> FileDataset:
    """Return a volume as one mosaic image; what its header says is taken from Siemens's rules."""
    slices = dicom.classic_datasets(series)
    rows, columns, side = slices[0].Rows, slices[0].Columns, 3
    whole = np.zeros((side * rows, side * columns), np.uint16)
    for number, one in enumerate(slices):
        tile = np.frombuffer(one.PixelData, np.uint16).reshape(rows, columns)
        top, left = (number // side) * rows, (number % side) * columns
        whole[top : top + rows, left : left + columns] = tile
    first, second = (np.array(slices[k].ImagePositionPatient, float) for k in (0, 1))
    along_row, along_column = np.array(slices[0].ImageOrientationPatient, float).reshape(2, 3)
    row_step, column_step = slices[0].PixelSpacing
    corner = first - along_row * column_step * (side * columns - columns) / 2
    corner = corner - along_column * row_step * (side * rows - rows) / 2
    one = slices[0]
    one.Rows, one.Columns = whole.shape
    one.ImagePositionPatient = [round(float(part), 7) for part in corner]
    one.ImageType = [*series.image_type, "MOSAIC"]
    one.SpacingBetweenSlices = round(float(np.linalg.norm(second - first)), 6)
    one.PixelData = whole.tobytes()
    normal = (second - first) / np.linalg.norm(second - first)
    tags = {"NumberOfImagesInMosaic": [str(len(slices))], **more}
    if with_normal:
        tags["SliceNormalVector"] = [f"{part:.8f}" for part in normal]
    if series.b_value is not None:
        tags["B_value"] = [f"{series.b_value:.0f}"]
        del one.DiffusionBValue
    if series.direction is not None:
        tags["DiffusionGradientDirection"] = [f"{part:.8f}" for part in series.direction]
        del one.DiffusionGradientOrientation
    block = one.private_block(0x0029, "SIEMENS CSA HEADER", create=True)
    block.add_new(0x10, "OB", csa_header(**tags))
    return one


@pytest.mark.parametrize("turn", [UPWARDS, DOWNWARDS, ODD_ROWS], ids=["up", "down", "odd"])
def test_a_mosaic_reads_back_to_the_phantom(dicom: SimpleNamespace, turn: np.ndarray) -> None:
    affine = dicom.tilted(17)
    trace, adc = (make(turn=turn, affine=affine) for make in (dicom.trace, dicom.adc_map))
    files = {str(k): dicom.to_bytes(mosaic(dicom, one)) for k, one in enumerate((trace, adc))}
    pair = read_dicom_pair(files)
    assert pair.b_value_s_mm2 == 1000
    for found, expected in ((pair.dwi, trace.volume), (pair.adc, adc.volume)):
        assert np.array_equal(found.data_XYZ, expected.data_XYZ)
        assert np.allclose(found.affine, expected.affine, atol=1e-4)


def test_raw_mosaics_are_told_apart_by_their_csa_headers(dicom: SimpleNamespace) -> None:
    axes = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
    series = [dicom.raw(0.0, uid="1.2.3"), *(dicom.raw(1000.0, a, uid="1.2.3") for a in axes)]
    files = {str(k): dicom.to_bytes(mosaic(dicom, one)) for k, one in enumerate(series)}
    pair = read_dicom_pair(files)
    expected_XYZ = -np.log(series[-1].volume.data_XYZ / series[0].volume.data_XYZ)
    assert np.allclose(pair.adc.data_XYZ, expected_XYZ, atol=1e-3)
    assert pair.provenance["directions"] == "3"


def test_a_mosaic_that_does_not_tell_which_way_it_goes_is_refused(dicom: SimpleNamespace) -> None:
    one = mosaic(dicom, dicom.trace(), with_normal=False)
    with pytest.raises(SeriesError, match="which way its slices go"):
        read_dicom_pair({"a": dicom.to_bytes(one)})


def test_a_mosaics_slices_lie_as_far_apart_as_it_says_and_never_as_thick_as_they_are(
    dicom: SimpleNamespace,
) -> None:
    files = {}
    for series in (dicom.trace(), dicom.adc_map()):
        one = mosaic(dicom, series, SpacingBetweenSlices=["4.0"])
        del one.SpacingBetweenSlices
        one.SliceThickness = 3.0
        files[str(len(files))] = dicom.to_bytes(one)
    assert read_dicom_pair(files).dwi.spacing_mm == pytest.approx((2.0, 2.5, 4.0))
    untold = mosaic(dicom, dicom.trace())
    del untold.SpacingBetweenSlices
    untold.SliceThickness = 3.0
    with pytest.raises(SeriesError, match="does not tell how far its slices lie apart"):
        read_dicom_pair({"a": dicom.to_bytes(untold)})


def test_a_mosaic_without_a_number_of_slices_is_refused(dicom: SimpleNamespace) -> None:
    one = dicom.classic_datasets(dicom.trace())[0]
    one.ImageType = [*one.ImageType, "MOSAIC"]
    with pytest.raises(SeriesError, match="tells of 0 slices"):
        read_dicom_pair({"a": dicom.to_bytes(one)})


def test_a_damaged_csa_header_is_refused(dicom: SimpleNamespace) -> None:
    one = mosaic(dicom, dicom.trace())
    element = one[0x0029, 0x1010]
    element.value = element.value[:60] + b"\xff" * 40 + element.value[100:]
    with pytest.raises(FileUnreadableError, match="cannot be read as DICOM"):
        read_dicom_pair({"a": dicom.to_bytes(one)})
