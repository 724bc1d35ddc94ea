"""Studies that must not be used: each is refused with its code, the numbers, and no identifier."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import pytest
from pydicom.config import disable_value_validation
from pydicom.encaps import encapsulate

from pirta.errors import FileUnreadableError, GeometryError, IntensityError, SeriesError
from pirta.imaging.dicom.read import read_dicom_pair

AXES = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
UID = "1.2.3.4.5.6.7.8.9"


def raw_series(dicom: SimpleNamespace, **changes: object) -> list[object]:
    settings = {"uid": UID} | changes
    return [dicom.raw(0.0, **settings), *(dicom.raw(1000.0, axis, **settings) for axis in AXES)]


def test_a_missing_middle_slice_is_named_by_number_and_place(dicom: SimpleNamespace) -> None:
    files = dicom.classic(dicom.trace(), dicom.adc_map())
    del files["0003"]  # the fourth slice of the trace, at 12 + 3 * 4 mm
    with pytest.raises(SeriesError, match=r"trace series lacks slice 4 of 8 \(at 24\.0 mm"):
        read_dicom_pair(files)


def test_two_missing_slices_are_both_named(dicom: SimpleNamespace) -> None:
    files = dicom.classic(dicom.trace(), dicom.adc_map())
    del files["0003"], files["0005"]
    with pytest.raises(SeriesError, match=r"slices 4, 6 of 8 \(at 24\.0, 32\.0 mm"):
        read_dicom_pair(files)


@pytest.mark.parametrize(("gone", "number", "place"), [(0, 1, "12.0"), (7, 8, "40.0")])
def test_an_end_slice_missing_in_one_volume_is_found_against_the_others(
    dicom: SimpleNamespace, gone: int, number: int, place: str
) -> None:
    files = dicom.classic(*raw_series(dicom))
    del files[f"{8 + gone:04d}"]  # of the second volume
    with pytest.raises(SeriesError, match=rf"slice {number} of 8 \(at {place} mm.* at b 1000"):
        read_dicom_pair(files)


def test_an_end_slice_missing_everywhere_is_found_against_the_headers_count(
    dicom: SimpleNamespace,
) -> None:
    datasets = [one for series in raw_series(dicom) for one in dicom.classic_datasets(series)]
    kept = [one for number, one in enumerate(datasets) if number % 8 != 7]
    for one in kept:
        block = one.private_block(0x2001, "Philips Imaging DD 001", create=True)
        block.add_new(0x18, "SL", 8)
    files = {f"{number:03d}": dicom.to_bytes(one) for number, one in enumerate(kept)}
    with pytest.raises(SeriesError, match=r"7 slice positions.*its header counts 8: 1 are missing"):
        read_dicom_pair(files)


def test_every_second_slice_missing_is_found_against_the_headers_spacing(
    dicom: SimpleNamespace,
) -> None:
    affine = dicom.tilted(0)
    affine[:3, 2] /= 2  # 8 slices 2 mm apart are written, and then said to be 1 mm apart
    extra = {"SpacingBetweenSlices": 1.0, "SliceThickness": 1.0}
    files = dicom.classic(dicom.trace(affine=affine, extra=extra))
    with pytest.raises(SeriesError, match=r"2\.00 mm apart, its header says 1\.00 mm: about 50%"):
        read_dicom_pair(files)


def test_uneven_slices_are_refused_with_the_distances(dicom: SimpleNamespace) -> None:
    datasets = dicom.classic_datasets(dicom.trace())
    x, y, z = datasets[5].ImagePositionPatient
    datasets[5].ImagePositionPatient = [x, y, z + 1.0]
    files = {f"{number}": dicom.to_bytes(one) for number, one in enumerate(datasets)}
    with pytest.raises(SeriesError, match=r"5\.00 mm from slice 5 to 6 of 8, 4\.00 mm elsewhere"):
        read_dicom_pair(files)


def test_a_slice_shifted_sideways_is_refused(dicom: SimpleNamespace) -> None:
    datasets = dicom.classic_datasets(dicom.trace())
    x, y, z = datasets[5].ImagePositionPatient
    datasets[5].ImagePositionPatient = [x + 3, y, z]
    files = {f"{number}": dicom.to_bytes(one) for number, one in enumerate(datasets)}
    with pytest.raises(SeriesError, match=r"shifted by 3\.0 mm"):
        read_dicom_pair(files)


def test_two_orientations_in_one_series_are_refused(dicom: SimpleNamespace) -> None:
    datasets = dicom.classic_datasets(dicom.trace())
    datasets[2].ImageOrientationPatient = [0, 1, 0, 0, 0, -1]
    files = {f"{number}": dicom.to_bytes(one) for number, one in enumerate(datasets)}
    with pytest.raises(SeriesError, match=r"several orientations \(1 turned"):
        read_dicom_pair(files)


def test_two_shapes_in_one_series_are_refused(dicom: SimpleNamespace) -> None:
    datasets = dicom.classic_datasets(dicom.trace())
    datasets[2].Rows -= 1
    datasets[2].PixelData = datasets[2].PixelData[: 2 * datasets[2].Rows * datasets[2].Columns]
    files = {f"{number}": dicom.to_bytes(one) for number, one in enumerate(datasets)}
    with pytest.raises(SeriesError, match="6x6 and 7x6 pixels"):
        read_dicom_pair(files)


def test_one_identifier_with_two_contents_is_refused(dicom: SimpleNamespace) -> None:
    datasets = dicom.classic_datasets(dicom.trace())
    datasets[4].SOPInstanceUID = datasets[5].SOPInstanceUID
    files = {f"{number}": dicom.to_bytes(one) for number, one in enumerate(datasets)}
    with pytest.raises(SeriesError, match="identifier of an earlier file, but other content"):
        read_dicom_pair(files)


def test_two_directions_are_no_trace(dicom: SimpleNamespace) -> None:
    files = dicom.classic(*raw_series(dicom)[:3])
    with pytest.raises(SeriesError, match="2 gradient directions"):
        read_dicom_pair(files)


def test_two_equally_late_traces_are_ambiguous(dicom: SimpleNamespace) -> None:
    files = dicom.classic(dicom.trace(1), dicom.trace(3), dicom.adc_map())
    with pytest.raises(SeriesError, match="ambiguous: 2 of 2 trace and ADC pairs"):
        read_dicom_pair(files)


def test_a_study_without_diffusion_images_says_so(dicom: SimpleNamespace) -> None:
    series = dicom.trace(image_type=["ORIGINAL", "PRIMARY", "M", "ND"], b_value=None)
    with pytest.raises(SeriesError, match="No diffusion images"):
        read_dicom_pair(dicom.classic(series))


def test_files_that_are_no_images_say_so() -> None:
    with pytest.raises(SeriesError, match=r"None of 2 files is an MR image \(0 are DICOM\)"):
        read_dicom_pair({"a": b"text", "b": b""})


def test_a_trace_alone_asks_for_what_is_missing(dicom: SimpleNamespace) -> None:
    with pytest.raises(SeriesError, match="neither an ADC map nor a b0"):
        read_dicom_pair(dicom.classic(dicom.trace()))


def test_an_adc_alone_asks_for_the_diffusion_images(dicom: SimpleNamespace) -> None:
    with pytest.raises(SeriesError, match=r"No diffusion-weighted volume.*1 ADC maps"):
        read_dicom_pair(dicom.classic(dicom.adc_map()))


def test_an_exponential_adc_is_never_taken_for_an_adc(dicom: SimpleNamespace) -> None:
    for changes in (
        {"image_type": ["DERIVED", "PRIMARY", "EADC_UNSPECIFIED", "EADC"]},
        {"image_type": ["DERIVED", "SECONDARY"], "description": "Exponential Apparent Diffusion"},
        {"image_type": ["DERIVED", "SECONDARY", "ADC"], "description": "eADC"},
        {"image_type": ["DERIVED", "PRIMARY", "DIFFUSION", "FA"], "description": "ADC and FA"},
    ):
        with pytest.raises(SeriesError, match="neither an ADC map"):
            read_dicom_pair(dicom.classic(dicom.trace(), dicom.adc_map(**changes)))


def test_an_empty_adc_is_refused(dicom: SimpleNamespace) -> None:
    adc = dicom.adc_map()
    adc.volume.data_XYZ[:] = 0
    with pytest.raises(IntensityError, match="ADC volume is empty"):
        read_dicom_pair(dicom.classic(dicom.trace(), adc))


def _set(name: str, value: object) -> Callable[[object], None]:
    return lambda dataset: setattr(dataset, name, value)


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        (_set("PixelData", b"\0" * 20), FileUnreadableError, "cut short: 20 of 84 bytes"),
        (_set("Rows", 40_000), FileUnreadableError, "claims 1 frames of 40000x6 pixels"),
        (_set("Rows", 0), FileUnreadableError, "claims 1 frames of 0x6"),
        (_set("BitsAllocated", 64), FileUnreadableError, "64 bits a pixel"),
        (_set("PixelSpacing", [0.0, 2.0]), GeometryError, "pixel spacing of 0 x 2"),
        (_set("PixelSpacing", None), GeometryError, "no usable PixelSpacing: 0 of 2"),
        (_set("ImagePositionPatient", [1, 2]), GeometryError, "2 of 3 numbers"),
        (_set("ImagePositionPatient", [0, 0, 5e7]), GeometryError, "more than 10 m off"),
        (_set("ImageOrientationPatient", [1, 0, 0, 1, 0, 0]), GeometryError, "product is 1.000"),
        (_set("RescaleSlope", 0), FileUnreadableError, "cannot be read as DICOM"),
        (_set("DiffusionBValue", -5.0), FileUnreadableError, "cannot be read as DICOM"),
        (_set("NumberOfFrames", 10**9), FileUnreadableError, "describes 0 frames"),
    ],
)
def test_a_header_that_cannot_be_true_is_refused_before_pixels_are_decoded(
    dicom: SimpleNamespace, change: Callable[[object], None], error: type[Exception], says: str
) -> None:
    datasets = dicom.classic_datasets(dicom.trace())
    change(datasets[2])
    files = {f"name-of-patient-{k}": dicom.to_bytes(one) for k, one in enumerate(datasets)}
    with pytest.raises(error, match=says) as caught:
        read_dicom_pair(files)
    assert "file 3 of 8" in str(caught.value)
    assert "patient-" not in str(caught.value)


def test_an_enhanced_object_with_fewer_frames_than_it_claims_is_refused(
    dicom: SimpleNamespace,
) -> None:
    dataset = dicom.enhanced_dataset(dicom.trace())
    dataset.NumberOfFrames = 9
    with pytest.raises(FileUnreadableError, match="describes 8 frames and claims 9"):
        read_dicom_pair({"a": dicom.to_bytes(dataset)})


def test_frames_that_claim_more_pixels_than_there_are_are_refused(dicom: SimpleNamespace) -> None:
    dataset = dicom.enhanced_dataset(dicom.trace())
    dataset.Rows = dataset.Columns = 8000
    with pytest.raises(FileUnreadableError, match="claims 8 frames of 8000x8000 pixels"):
        read_dicom_pair({"a": dicom.to_bytes(dataset)})


def test_an_unreadable_compression_names_itself_and_the_remedy(dicom: SimpleNamespace) -> None:
    files = {}
    for series in (dicom.trace(), dicom.adc_map()):
        for one in dicom.classic_datasets(series):
            one.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.50"
            one.PixelData = encapsulate([b"junk"])
            one["PixelData"].VR = "OB"
            one["PixelData"].is_undefined_length = True
            files[str(len(files))] = dicom.to_bytes(one)
    with pytest.raises(FileUnreadableError, match=r"JPEG Baseline.*uncompressed"):
        read_dicom_pair(files)


def test_messages_hold_no_identifier(dicom: SimpleNamespace) -> None:
    files = dicom.classic(*raw_series(dicom))
    del files["0009"]
    with pytest.raises(SeriesError) as caught:
        read_dicom_pair(files)
    assert UID not in str(caught.value)
    assert not np.any([word.isdigit() and len(word) > 4 for word in str(caught.value).split()])


def test_values_that_are_against_the_standard_reach_no_log(
    dicom: SimpleNamespace, caplog: pytest.LogCaptureFixture
) -> None:
    datasets = dicom.classic_datasets(dicom.trace()) + dicom.classic_datasets(dicom.adc_map())
    with disable_value_validation():
        for one in datasets:
            one.PatientID, one.StudyInstanceUID = "Doe\x01Jane", "1.02.Doe"
            del one.SeriesInstanceUID  # an element checks values as it did when it was made
            one.SeriesInstanceUID = "1.03.Doe"
        files = {str(number): dicom.to_bytes(one) for number, one in enumerate(datasets)}
    caplog.clear()
    read_dicom_pair(files)
    assert caplog.messages == []
