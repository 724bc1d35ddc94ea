"""A pair comes from one patient, one study, one place and one acquisition, or not at all."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from pydicom.dataset import Dataset, FileDataset

from pirta.errors import ChannelMismatchError, SeriesError
from pirta.imaging.dicom.acquired import minutes_apart, same_timing, time_of
from pirta.imaging.dicom.read import read_dicom_pair

AXES = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))


def packed(dicom: SimpleNamespace, datasets: list[FileDataset]) -> dict[str, bytes]:
    return {f"{number:04d}": dicom.to_bytes(one) for number, one in enumerate(datasets)}


def of(datasets: list[FileDataset], patient: str, study: str) -> list[FileDataset]:
    for one in datasets:
        one.PatientID, one.StudyInstanceUID = patient, study
    return datasets


def acquisition(
    dicom: SimpleNamespace, time: str, gain: float, *, b0_time: str | None = None, uid: str = "1.5"
) -> list[object]:
    """Return raw series, the b0 in one of its own, as bright as `gain` says."""
    series = [
        dicom.raw(0.0, time=b0_time or time),
        *(
            dicom.raw(1000.0, axis, time=time, uid=f"{uid}.1{time}", first_instance=1 + 20 * number)
            for number, axis in enumerate(AXES)
        ),
    ]
    for one in series:
        one.volume.data_XYZ[:] = np.rint(one.volume.data_XYZ * gain)
    return series


@pytest.mark.parametrize(
    ("other", "words"),
    [(("P-Doe", "1.2.1"), "2 patients"), (("P-Roe", "1.2.2"), "2 studies")],
)
def test_images_of_two_patients_or_studies_are_refused_without_their_names(
    dicom: SimpleNamespace, other: tuple[str, str], words: str
) -> None:
    datasets = [
        *of(dicom.classic_datasets(dicom.trace(1, time="100000")), "P-Roe", "1.2.1"),
        *of(dicom.classic_datasets(dicom.adc_map(2, time="100000")), "P-Roe", "1.2.1"),
    ]
    assert read_dicom_pair(packed(dicom, datasets)).warnings == ()
    late = [
        *of(dicom.classic_datasets(dicom.trace(11, time="110000")), *other),
        *of(dicom.classic_datasets(dicom.adc_map(12, time="110000")), *other),
    ]
    with pytest.raises(SeriesError, match=words) as caught:
        read_dicom_pair(packed(dicom, datasets + late))
    assert not any(word in str(caught.value) for word in ("Roe", "Doe", "1.2.1"))


def test_another_patients_image_that_is_of_no_use_is_left(dicom: SimpleNamespace) -> None:
    trace, adc = (dicom.classic_datasets(one) for one in (dicom.trace(), dicom.adc_map()))
    scout = dicom.classic_datasets(dicom.trace(9, image_type=["ORIGINAL", "PRIMARY", "LOCALIZER"]))
    datasets = of(trace + adc, "P-Roe", "1.2.1") + of(scout, "P-Doe", "1.2.2")
    assert read_dicom_pair(packed(dicom, datasets)).b_value_s_mm2 == 1000


def test_dwi_and_adc_of_two_positions_are_refused(dicom: SimpleNamespace) -> None:
    trace = dicom.trace(frame_of_reference="1.2.3.4")
    with pytest.raises(ChannelMismatchError, match="different frames of reference"):
        read_dicom_pair(dicom.classic(trace, dicom.adc_map(frame_of_reference="1.2.3.5")))
    silent = dicom.adc_map(frame_of_reference="")
    pair = read_dicom_pair(dicom.classic(trace, silent))
    assert np.array_equal(pair.adc.data_XYZ, silent.volume.data_XYZ)


def test_a_later_dwi_without_an_adc_is_not_paired_with_an_earlier_one(
    dicom: SimpleNamespace,
) -> None:
    early, adc = dicom.trace(1, time="100000"), dicom.adc_map(2, time="100000")
    pair = read_dicom_pair(dicom.classic(early, adc, dicom.trace(3, time="100300")))
    assert np.array_equal(pair.dwi.data_XYZ, early.volume.data_XYZ)
    assert pair.warnings == ()
    pair = read_dicom_pair(dicom.classic(early, adc, dicom.trace(3, time="110000")))
    assert np.array_equal(pair.dwi.data_XYZ, early.volume.data_XYZ)
    (warning,) = pair.warnings
    assert warning.startswith("A DWI acquired 60 minutes later is not used")


def test_a_later_acquisition_whose_adc_lacks_a_slice_gives_way_to_the_earlier_one(
    dicom: SimpleNamespace,
) -> None:
    early = dicom.trace(1, time="100000"), dicom.adc_map(2, time="100010")
    late = dicom.trace(3, time="110000"), dicom.adc_map(4, time="110010")
    files = dicom.classic(*early, *late)
    assert np.array_equal(read_dicom_pair(files).dwi.data_XYZ, late[0].volume.data_XYZ)
    del files["0027"]
    pair = read_dicom_pair(files)
    assert np.array_equal(pair.dwi.data_XYZ, early[0].volume.data_XYZ)
    assert np.array_equal(pair.adc.data_XYZ, early[1].volume.data_XYZ)
    assert pair.provenance["adc_left_out"] == "1 incomplete of 2 series"


def test_of_two_adc_maps_the_one_nearest_to_the_dwi_is_taken(dicom: SimpleNamespace) -> None:
    near, far = dicom.adc_map(2, time="100020"), dicom.adc_map(4, time="103000")
    pair = read_dicom_pair(dicom.classic(dicom.trace(time="100000"), far, near))
    assert np.array_equal(pair.adc.data_XYZ, near.volume.data_XYZ)
    assert pair.warnings == ()


def test_an_adc_minutes_away_from_its_dwi_is_warned_of(dicom: SimpleNamespace) -> None:
    trace = dicom.trace(time="100000")
    (warning,) = read_dicom_pair(dicom.classic(trace, dicom.adc_map(time="102200"))).warnings
    assert "22 minutes apart" in warning
    assert not read_dicom_pair(dicom.classic(trace, dicom.adc_map(time="100400"))).warnings
    assert not read_dicom_pair(dicom.classic(trace, dicom.adc_map(time=""))).warnings


def perfusion(dicom: SimpleNamespace, **extra: float) -> list[object]:
    """Return bright echo planar volumes on the same grid, into whose headers b 0 was written."""
    kind = ["ORIGINAL", "PRIMARY", "OTHER"]
    return [
        dicom.Series(
            dicom.phantom(100, 20_000, 50 + number),
            kind,
            b_value=0.0,
            description="AX PERFUSION",
            time="120300",
            uid="1.9.9",
            first_instance=1 + 20 * number,
            extra={"ScanningSequence": "EP", **extra},
        )
        for number in range(2)
    ]


def test_perfusion_on_the_same_grid_is_no_b0(dicom: SimpleNamespace) -> None:
    series = acquisition(dicom, "120000", 1.0)
    alone = read_dicom_pair(dicom.classic(*series))
    mixed = read_dicom_pair(dicom.classic(*series, *perfusion(dicom)))
    assert np.array_equal(mixed.adc.data_XYZ, alone.adc.data_XYZ)
    with pytest.raises(SeriesError, match="neither an ADC map nor a b0"):
        read_dicom_pair(dicom.classic(dicom.trace(), *perfusion(dicom)))


def test_an_epi_series_that_holds_weighted_images_keeps_its_b0(dicom: SimpleNamespace) -> None:
    kind, extra = ["ORIGINAL", "PRIMARY", "OTHER"], {"ScanningSequence": "EP"}
    settings = {"uid": "1.9.8", "image_type": kind, "description": "AX", "extra": extra}
    series = [dicom.raw(0.0, **settings), *(dicom.raw(1000.0, a, **settings) for a in AXES)]
    assert read_dicom_pair(dicom.classic(*series)).provenance["b0"] == "mean of 1"


def test_a_b0_of_another_echo_time_is_not_fitted_with_the_weighted_images(
    dicom: SimpleNamespace,
) -> None:
    b0, *weighted = acquisition(dicom, "120000", 1.0)
    for one in weighted:
        one.extra = {"EchoTime": 80.0, "RepetitionTime": 5000.0}
    for echo, repetition in ((80.0, 5000.0), (30.0, 5000.0), (80.0, 1500.0)):
        b0.extra = {"EchoTime": echo, "RepetitionTime": repetition}
        if (echo, repetition) == (80.0, 5000.0):
            assert read_dicom_pair(dicom.classic(b0, *weighted)).provenance["b0"] == "mean of 1"
            continue
        with pytest.raises(SeriesError, match="too close together for an ADC"):
            read_dicom_pair(dicom.classic(b0, *weighted))


@pytest.mark.parametrize("late_time", ["110000", "090400"], ids=["hours", "minutes"])
def test_of_two_raw_acquisitions_the_latest_is_taken_and_none_is_averaged(
    dicom: SimpleNamespace, late_time: str
) -> None:
    early, late = acquisition(dicom, "090000", 1.0), acquisition(dicom, late_time, 0.5)
    pair = read_dicom_pair(dicom.classic(*late, *early))
    alone = read_dicom_pair(dicom.classic(*late))
    assert np.array_equal(pair.dwi.data_XYZ, alone.dwi.data_XYZ)
    assert np.array_equal(pair.adc.data_XYZ, alone.adc.data_XYZ)


def test_a_later_raw_acquisition_that_is_incomplete_is_not_mixed_with_the_earlier_one(
    dicom: SimpleNamespace,
) -> None:
    early, b0_late = acquisition(dicom, "090000", 1.0), dicom.raw(0.0, time="110000")
    pair = read_dicom_pair(dicom.classic(*early, b0_late))
    alone = read_dicom_pair(dicom.classic(*early))
    assert np.array_equal(pair.adc.data_XYZ, alone.adc.data_XYZ)
    two_directions = acquisition(dicom, "090400", 0.5)[:3]
    with pytest.raises(SeriesError, match="ambiguous: 3 of 7 raw diffusion volumes"):
        read_dicom_pair(dicom.classic(*early, *two_directions))
    with pytest.raises(SeriesError, match=r"ambiguous: \d of 8 raw diffusion volumes"):
        read_dicom_pair(dicom.classic(*early, *acquisition(dicom, "090000", 0.5, uid="1.6")))


def test_a_b0_of_hours_before_gives_no_adc(dicom: SimpleNamespace) -> None:
    series = acquisition(dicom, "110000", 1.0, b0_time="090000")
    with pytest.raises(SeriesError, match="lie up to 120 minutes apart"):
        read_dicom_pair(dicom.classic(*series))
    trace = dicom.trace(time="110000")
    with pytest.raises(SeriesError, match="neither an ADC map nor a b0"):
        read_dicom_pair(dicom.classic(trace, dicom.raw(0.0, time="090000")))
    pair = read_dicom_pair(
        dicom.classic(trace, dicom.raw(0.0, time="090000"), dicom.adc_map(time="110000"))
    )
    assert pair.b0 is None


def test_times_are_compared_as_far_as_they_are_told() -> None:
    assert minutes_apart("20260102235900", "20260103000100.5") == pytest.approx(2.0083, abs=1e-3)
    assert minutes_apart("235900", "20260103000100") == 2
    assert minutes_apart("202601021200+0100", "12:07:30") == 7.5
    assert minutes_apart("20260230120000", "120100") == 1
    for nothing in ("", "20260102", "noon", "250000"):
        assert minutes_apart(nothing, "120000") is None
    assert same_timing((80.0, None), (80.2, 5000.0))
    assert not same_timing((80.0, None), (82.0, 5000.0))
    header = Dataset()
    header.SeriesTime, header.SeriesDate = "101112", "20260102"
    assert time_of(header) == "20260102101112"
