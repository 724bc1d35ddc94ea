"""Which of a study's volume files count, and what is said when none or too many do."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from pirta.contracts.study import StudyImages
from pirta.errors import ChannelMismatchError, FileMissingError, PirtaError, SeriesError
from pirta.imaging.read_pair import read_pair

Nifti = Callable[..., bytes]
AFFINE = np.diag([-3.0, 3.0, 4.0, 1.0])
DIRECTIONS = b"0 1 0 0\n0 0 1 0\n0 0 0 1\n"
B_VALUES = b"0 1000 1000 1000\n"


def test_a_trace_that_the_scanner_made_comes_before_its_raw_directions(
    phantom, nifti: Nifti
) -> None:
    """What dcm2niix writes of a Siemens study: raw series, TRACEW, ADC and FA."""
    trace = b'{"ImageType": ["DERIVED", "PRIMARY", "DIFFUSION", "TRACEW", "NORM"]}'
    own = np.stack([phantom.b0, phantom.dwi * 1.01], axis=-1)
    files = {
        "5_ep2d_diff.nii.gz": nifti(phantom.series, AFFINE),
        "5_ep2d_diff.bval": B_VALUES,
        "5_ep2d_diff.bvec": DIRECTIONS,
        "6_ep2d_diff_T.nii.gz": nifti(own, AFFINE),
        "6_ep2d_diff_T.bval": b"0 1000",
        "6_ep2d_diff_T.json": trace,
        "8_ep2d_diff_FA.nii.gz": nifti(phantom.b0, AFFINE),
    }
    pair = read_pair(StudyImages(files=files))
    np.testing.assert_array_equal(pair.dwi.data_XYZ, own[::-1, ..., 1])
    files["7_ep2d_trace_p2.nii.gz"] = nifti(phantom.adc, AFFINE)  # the protocol's name misleads
    files["7_ep2d_trace_p2.json"] = b'{"ImageType": ["DERIVED", "DIFFUSION", "ADC"]}'
    pair = read_pair(StudyImages(files=files))
    np.testing.assert_array_equal(pair.dwi.data_XYZ, own[::-1, ..., 1])
    np.testing.assert_array_equal(pair.adc.data_XYZ, phantom.adc[::-1])
    single = {**files, "6_ep2d_diff_T.nii.gz": nifti(own[..., 1], AFFINE)}
    single["6_ep2d_diff_T.bval"] = b"1000"
    found = read_pair(StudyImages(files=single))
    np.testing.assert_array_equal(found.dwi.data_XYZ, pair.dwi.data_XYZ)
    del single["7_ep2d_trace_p2.nii.gz"]  # nothing to fit from but the raw series
    assert "3 volumes" in read_pair(StudyImages(files=single)).provenance["dwi"]


@pytest.mark.parametrize(
    ("changes", "kind", "words"),
    [
        ({"x_dwi.bval": None}, SeriesError, "4 volumes comes without b values"),
        ({"x_dwi.bval": b"0 1000"}, SeriesError, "4 diffusion volumes and 2 b values"),
        ({"x_dwi.bval": b"zero"}, SeriesError, "b-value file is no table"),
        ({"x_dwi.bval": b"0 nan 1 2"}, SeriesError, "b-value file is no table"),
        ({"x_dwi.bvec": b"1 2\n3 4\n"}, SeriesError, "b-vector file has 2 rows of 2"),
        ({"x_dwi.bvec": b"0 1 1 1\n0 0 0 0\n0 0 0 0"}, SeriesError, "leave a part of the sphere"),
        ({"x_dwi.json": b"[]"}, SeriesError, "JSON sidecar cannot be read"),
        ({"x_dwi.json": b"[" * 9000}, SeriesError, "JSON sidecar cannot be read"),
        ({"x_dwi.json": b'{"SliceThickness": "thin"}'}, SeriesError, "SliceThickness is no number"),
        (
            {"x_dwi.json": b'{"ImageType": ["ADC"]}'},
            ChannelMismatchError,
            "DWI by its name and ADC",
        ),
        ({"x_dwi.nii.gz": None}, FileMissingError, r"2 files \(0 NIfTI or MetaImage; 2 sidecars"),
        (
            {"y_dwi.nii.gz": "x_dwi.nii.gz", "y_dwi.bval": B_VALUES},
            SeriesError,
            "2 diffusion series",
        ),
    ],
)
def test_a_series_that_cannot_be_used_is_told_without_names(
    phantom,
    nifti: Nifti,
    changes: dict[str, bytes | str | None],
    kind: type[PirtaError],
    words: str,
) -> None:
    stem = "Doe_"
    files: dict[str, bytes] = {
        "x_dwi.nii.gz": nifti(phantom.series, AFFINE),
        "x_dwi.bval": B_VALUES,
        "x_dwi.bvec": DIRECTIONS,
    }
    for name, content in changes.items():
        if content is None:
            del files[name]
        else:
            files[name] = files[content] if isinstance(content, str) else content
    with pytest.raises(kind, match=words) as caught:
        read_pair(StudyImages(files={stem + name: data for name, data in files.items()}))
    assert "Doe" not in str(caught.value)


@pytest.mark.parametrize(
    ("files", "kind", "words"),
    [
        ({"a": b"text"}, FileMissingError, r"1 files \(0 NIfTI or MetaImage; 0 sidecars; 1 others"),
        ({"s_dwi.nii": "dwi"}, SeriesError, "no b value to compute one with"),
        ({"s_adc.nii": "adc", "s_b0.nii": "b0"}, FileMissingError, "of them 1 ADC, 1 b0"),
        ({"1_adc.nii": "adc", "2_adc.nii": "adc"}, SeriesError, "2 ADC maps"),
        ({"1_dwi.nii": "dwi", "2_dwi.nii": "dwi"}, SeriesError, "2 DWI without a b value"),
        ({"t1.nii": "dwi", "t2.nii": "b0"}, FileMissingError, "2 NIfTI or MetaImage; 0"),
        ({"s_b0.nii": "b0", "s_b0.bval": b"1000"}, SeriesError, "b0 by its name and has b 1000"),
        ({"s_dwi.nii": b"\x5c\x01\0\0" + b"x" * 600}, FileMissingError, "1 others"),
    ],
)
def test_a_bag_of_files_without_a_pair_is_told_by_counts(
    phantom,
    nifti: Nifti,
    files: dict[str, bytes | str],
    kind: type[PirtaError],
    words: str,
) -> None:
    bag = {
        name: nifti(getattr(phantom, content), AFFINE) if isinstance(content, str) else content
        for name, content in files.items()
    }
    with pytest.raises(kind, match=words):
        read_pair(StudyImages(files=bag))


def test_single_traces_of_several_b_values_beside_an_adc_map_need_no_fit(
    phantom, nifti: Nifti
) -> None:
    low, high = (nifti(phantom.dwi * share, AFFINE) for share in (1.0, 0.5))
    files = {
        "s_b1000_dwi.nii": low,
        "s_b1000_dwi.bval": b"1000",
        "s_b2000_dwi.nii": high,
        "s_b2000_dwi.bval": b"2000",
        "s_adc.nii": nifti(phantom.adc, AFFINE),
    }
    pair = read_pair(StudyImages(files=files))
    np.testing.assert_array_equal(pair.dwi.data_XYZ, phantom.dwi[::-1])
    np.testing.assert_array_equal(pair.adc.data_XYZ, phantom.adc[::-1])
    assert pair.b_value_s_mm2 == 1000
    same = {**files, "s_b2000_dwi.bval": b"1000"}
    np.testing.assert_allclose(
        read_pair(StudyImages(files=same)).dwi.data_XYZ, phantom.dwi[::-1] * 0.5**0.5, rtol=1e-4
    )
    with pytest.raises(SeriesError, match="too close together for an ADC"):
        read_pair(StudyImages(files={name: files[name] for name in list(files)[:4]}))
