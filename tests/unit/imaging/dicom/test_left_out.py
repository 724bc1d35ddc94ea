"""What is no diffusion image may be damaged; what is one, or may be one, must be sound."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from pydicom.dataset import FileDataset

from pirta.contracts.study import StudyImages
from pirta.errors import FileUnreadableError, SeriesError
from pirta.imaging.dicom.detect import class_told
from pirta.imaging.dicom.read import read_dicom_pair
from pirta.imaging.read_pair import read_pair

PREFIX = bytes(128) + b"DICM"
DEFLATED = b"\x02\x00\x10\x00UI\x16\x001.2.840.10008.1.2.1.99"
REPORT = b"\x02\x00\x02\x00UI\x1e\x001.2.840.10008.5.1.4.1.1.88.11\0"
MR = b"\x02\x00\x02\x00UI\x1a\x001.2.840.10008.5.1.4.1.1.4\0"


@pytest.mark.parametrize(
    "stray",
    [
        PREFIX,
        PREFIX + b"\x02\x00\x00\x00UL\x04\x00",
        PREFIX + DEFLATED,
        PREFIX + REPORT + DEFLATED + b"\xff" * 4000,
        PREFIX + REPORT + b"\x08\x00\x05\x00CS\xff\x7f" + b"\xff" * 4000,
    ],
    ids=["stub", "cut in its meta header", "short and deflated", "deflated report", "cut report"],
)
def test_a_stray_file_that_is_no_image_is_counted_and_left(
    dicom: SimpleNamespace, stray: bytes
) -> None:
    trace, adc = dicom.trace(), dicom.adc_map()
    files = dicom.classic(trace, adc)
    pair = read_dicom_pair({**files, "stray": stray})
    assert np.array_equal(pair.dwi.data_XYZ, trace.volume.data_XYZ)
    assert np.array_equal(pair.adc.data_XYZ, adc.volume.data_XYZ)
    assert pair.provenance["ignored"] == "1 DICOM objects and 0 other files"


@pytest.mark.parametrize(
    "stray",
    [PREFIX + MR, PREFIX + MR + DEFLATED, PREFIX + DEFLATED + b"\xff" * 4000],
    ids=["cut MR image", "deflated MR image", "deflated and large"],
)
def test_a_file_that_may_be_a_diffusion_image_must_be_readable(
    dicom: SimpleNamespace, stray: bytes
) -> None:
    files = dicom.classic(dicom.trace(), dicom.adc_map())
    with pytest.raises(FileUnreadableError, match="DICOM file 17 of 17"):
        read_dicom_pair({**files, "stray": stray})


def test_a_slice_cut_to_a_stub_is_missed(dicom: SimpleNamespace) -> None:
    """The stub itself is left; the series it belonged to is not complete without it."""
    files = dicom.classic(dicom.trace(), dicom.adc_map())
    files["0003"] = files["0003"][:140]
    with pytest.raises(SeriesError, match="trace series lacks slice 4 of 8"):
        read_dicom_pair(files)


def test_the_class_is_read_from_the_meta_header(dicom: SimpleNamespace) -> None:
    data = next(iter(dicom.classic(dicom.trace()).values()))
    assert class_told(data) == "1.2.840.10008.5.1.4.1.1.4"
    assert class_told(PREFIX) == class_told(b"") == ""


def anatomy(dicom: SimpleNamespace, kind: str = "T1") -> FileDataset:
    words = ["ORIGINAL", "PRIMARY", kind, "NONE"]
    return dicom.enhanced_dataset(
        dicom.Series(dicom.phantom(1, 9, 3), words, description=f"{kind} 3D")
    )


def test_a_damaged_anatomical_image_is_left(dicom: SimpleNamespace) -> None:
    files = dicom.classic(dicom.trace(), dicom.adc_map())
    cut = dicom.to_bytes(anatomy(dicom))[:-200]
    short, absurd, miscounted = anatomy(dicom), anatomy(dicom), anatomy(dicom)
    short.PixelData = short.PixelData[:-40]
    absurd.Rows = 60_000
    miscounted.NumberOfFrames = 9
    whole = [dicom.to_bytes(one) for one in (short, absurd, miscounted)]
    for stray in (cut, *whole):
        pair = read_dicom_pair({**files, "stray": stray})
        assert pair.provenance["dicom"] == "17 MR images, 1 of them of no use"
    diffusion = anatomy(dicom, "DIFFUSION")
    diffusion.PixelData = diffusion.PixelData[:-40]
    with pytest.raises(FileUnreadableError, match="cut short: 632 of 672"):
        read_dicom_pair({**files, "stray": dicom.to_bytes(diffusion)})


def test_a_damaged_private_header_of_an_anatomical_image_is_left(dicom: SimpleNamespace) -> None:
    t1, dwi = (
        dicom.classic_datasets(
            dicom.Series(dicom.phantom(1, 9, 3), ["ORIGINAL", "PRIMARY", "M"], description=said)
        )[0]
        for said in ("T1 3D", "ep2d_diff")
    )
    for one in (t1, dwi):
        block = one.private_block(0x0029, "SIEMENS CSA HEADER", create=True)
        block.add_new(0x10, "OB", b"SV10\x04\x03\x02\x01" + b"\xff" * 60)
    files = dicom.classic(dicom.trace(), dicom.adc_map())
    pair = read_dicom_pair({**files, "stray": dicom.to_bytes(t1)})
    assert pair.provenance["dicom"] == "17 MR images, 1 of them of no use"
    with pytest.raises(FileUnreadableError, match="cannot be read as DICOM"):
        read_dicom_pair({**files, "stray": dicom.to_bytes(dwi)})


def test_files_of_other_formats_are_counted_whichever_way_the_study_comes(
    dicom: SimpleNamespace,
) -> None:
    files = dicom.classic(dicom.trace(), dicom.adc_map())
    pair = read_pair(StudyImages(files={**files, "notes.txt": b"hello", "x.pdf": b"%PDF"}))
    assert pair.provenance["ignored"] == "0 DICOM objects and 2 other files"


def test_a_told_b_value_is_taken_where_a_trace_has_none(dicom: SimpleNamespace) -> None:
    b0 = dicom.raw(0.0)
    kind = ["DERIVED", "PRIMARY", "DIFFUSION", "TRACEW"]
    trace = dicom.Series(dicom.raw(1000.0).volume, kind)
    files = dicom.classic(b0, trace)
    with pytest.raises(SeriesError, match="no b value for the trace"):
        read_pair(StudyImages(files=files))
    pair = read_pair(StudyImages(files=files, b_value_s_mm2=1000.0))
    expected_XYZ = -np.log(trace.volume.data_XYZ / b0.volume.data_XYZ)
    assert np.allclose(pair.adc.data_XYZ, expected_XYZ, atol=1e-3)
    beside = dicom.classic(dicom.trace(b_value=None), dicom.adc_map())
    assert read_pair(StudyImages(files=beside, b_value_s_mm2=800.0)).b_value_s_mm2 == 800
    told = dicom.classic(dicom.trace(), dicom.adc_map())
    assert read_pair(StudyImages(files=told, b_value_s_mm2=800.0)).b_value_s_mm2 == 1000
