"""Compressed pixels: what pydicom can decode reads back, and a frame's claim is not believed."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from pydicom.uid import JPEGLSLossless, RLELossless

from pirta.errors import FileUnreadableError
from pirta.imaging.dicom.read import read_dicom_pair


@pytest.mark.parametrize("syntax", [RLELossless, JPEGLSLossless], ids=["rle", "jpeg-ls"])
def test_lossless_compression_reads_back(dicom: SimpleNamespace, syntax: str) -> None:
    trace, adc = dicom.trace(), dicom.adc_map()
    many = [dicom.enhanced_dataset(trace), *dicom.classic_datasets(adc)]
    for one in many:
        one.compress(syntax, generate_instance_uid=False)
    pair = read_dicom_pair({str(k): dicom.to_bytes(one) for k, one in enumerate(many)})
    assert np.array_equal(pair.dwi.data_XYZ, trace.volume.data_XYZ)
    assert np.array_equal(pair.adc.data_XYZ, adc.volume.data_XYZ)


def test_a_frame_that_claims_a_huge_image_is_refused_before_it_is_unpacked(
    dicom: SimpleNamespace,
) -> None:
    many = [dicom.enhanced_dataset(dicom.trace()), dicom.enhanced_dataset(dicom.adc_map())]
    for one in many:
        one.compress(JPEGLSLossless, generate_instance_uid=False)
        at = one.PixelData.index(b"\xff\xf7") + 5  # marker, length, precision: then the size
        huge = b"\xff\xff\xff\xff"
        one.PixelData = one.PixelData[:at] + huge + one.PixelData[at + 4 :]
    with pytest.raises(FileUnreadableError, match="claims 65535x65535 pixels in one frame"):
        read_dicom_pair({str(k): dicom.to_bytes(one) for k, one in enumerate(many)})


def test_a_file_deflated_as_a_whole_is_refused_unopened(dicom: SimpleNamespace) -> None:
    data = dicom.to_bytes(dicom.enhanced_dataset(dicom.trace()))
    plain, deflated = b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.1.99"
    assert plain in data
    with pytest.raises(FileUnreadableError, match="deflated as a whole"):
        read_dicom_pair({"a": data.replace(plain, deflated, 1)})
