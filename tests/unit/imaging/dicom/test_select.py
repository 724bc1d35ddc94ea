"""Which series are taken where a study holds more than two."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from pydicom.dataset import FileDataset

from pirta.errors import SeriesError
from pirta.imaging.dicom.read import read_dicom_pair

AXES = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))


def test_copies_of_an_object_are_dropped(dicom: SimpleNamespace) -> None:
    trace, adc = dicom.trace(), dicom.adc_map()
    files = dicom.classic(trace, adc)
    pair = read_dicom_pair(files | {f"copy-{name}": data for name, data in files.items()})
    assert np.array_equal(pair.dwi.data_XYZ, trace.volume.data_XYZ)
    assert pair.provenance["copies"] == "16 left out"


def test_the_latest_acquisition_is_taken_and_that_is_recorded(dicom: SimpleNamespace) -> None:
    early = dicom.trace(1, time="120000"), dicom.adc_map(2, time="120000")
    late = dicom.trace(3, time="121500"), dicom.adc_map(4, time="121500")
    pair = read_dicom_pair(dicom.classic(*early, *late))
    assert np.array_equal(pair.dwi.data_XYZ, late[0].volume.data_XYZ)
    assert np.array_equal(pair.adc.data_XYZ, late[1].volume.data_XYZ)
    assert pair.provenance["selection"] == "latest of 2 trace and ADC pairs"


def test_a_late_series_that_is_incomplete_gives_way_to_the_complete_one(
    dicom: SimpleNamespace,
) -> None:
    early, late = dicom.trace(1, time="120000"), dicom.trace(3, time="121500")
    files = dicom.classic(early, dicom.adc_map(), late)
    del files["0019"]
    pair = read_dicom_pair(files)
    assert np.array_equal(pair.dwi.data_XYZ, early.volume.data_XYZ)
    assert pair.provenance["trace_left_out"] == "1 incomplete of 2 series"


def test_the_trace_of_the_highest_b_up_to_1000_is_taken(dicom: SimpleNamespace) -> None:
    traces = [dicom.trace(int(b), b_value=b, uid="1.2.3") for b in (0.0, 500.0, 1000.0, 2000.0)]
    pair = read_dicom_pair(dicom.classic(*traces, dicom.adc_map()))
    assert pair.b_value_s_mm2 == 1000
    assert np.array_equal(pair.dwi.data_XYZ, traces[2].volume.data_XYZ)
    assert pair.b0 is not None
    assert np.array_equal(pair.b0.data_XYZ, traces[0].volume.data_XYZ)


def test_the_adc_on_the_traces_grid_is_taken(dicom: SimpleNamespace) -> None:
    elsewhere = dicom.adc_map(7, affine=dicom.tilted(20), time="130000")
    adc = dicom.adc_map(2, time="120000")
    pair = read_dicom_pair(dicom.classic(dicom.trace(), elsewhere, adc))
    assert np.array_equal(pair.adc.data_XYZ, adc.volume.data_XYZ)


def test_maps_phases_and_localisers_are_left_out(dicom: SimpleNamespace) -> None:
    others = [
        dicom.trace(9, image_type=kind)
        for kind in (
            ["DERIVED", "PRIMARY", "DIFFUSION", "FA"],
            ["ORIGINAL", "PRIMARY", "PHASE MAP", "P", "SE"],
            ["ORIGINAL", "PRIMARY", "LOCALIZER"],
            ["DERIVED", "SECONDARY", "MPR", "TRACEW"],
        )
    ]
    trace, adc = dicom.trace(), dicom.adc_map()
    pair = read_dicom_pair(dicom.classic(*others, trace, adc))
    assert np.array_equal(pair.dwi.data_XYZ, trace.volume.data_XYZ)
    assert pair.provenance["dicom"] == "48 MR images, 32 of them of no use"


def test_objects_that_are_no_images_are_counted_and_left(dicom: SimpleNamespace) -> None:
    state = dicom.classic_datasets(dicom.trace())[0]
    state.SOPClassUID = "1.2.840.10008.5.1.4.1.1.11.1"
    del state.PixelData
    files = dicom.classic(dicom.trace(), dicom.adc_map())
    pair = read_dicom_pair({"0": dicom.to_bytes(state), "1": b"a text", **files})
    assert pair.provenance["ignored"] == "1 DICOM objects and 1 other files"


def test_a_scanner_adc_beside_raw_directions_is_kept(dicom: SimpleNamespace) -> None:
    series = [
        dicom.raw(b, axis, uid="1.2.9") for b, axis in [(0.0, None), *((800.0, a) for a in AXES)]
    ]
    adc = dicom.adc_map()
    pair = read_dicom_pair(dicom.classic(*series, adc))
    assert np.array_equal(pair.adc.data_XYZ, adc.volume.data_XYZ)
    assert np.allclose(pair.dwi.data_XYZ, series[-1].volume.data_XYZ, rtol=1e-5)
    assert pair.b_value_s_mm2 == 800
    assert pair.provenance["dwi"] == "geometric mean of 3 volumes at b 800"


def test_what_stands_beside_the_directions_without_one_is_not_averaged_in(
    dicom: SimpleNamespace,
) -> None:
    series = [
        dicom.raw(b, axis, uid="1.2.9") for b, axis in [(0.0, None), *((1000.0, a) for a in AXES)]
    ]
    mean = dicom.raw(1000.0, None, uid="1.2.9")
    mean.volume.data_XYZ[:] *= 3
    pair = read_dicom_pair(dicom.classic(*series, mean))
    assert np.allclose(pair.dwi.data_XYZ, series[-1].volume.data_XYZ, rtol=1e-5)


def test_of_one_acquisition_the_images_corrected_for_distortion_are_taken(
    dicom: SimpleNamespace,
) -> None:
    made = {}
    for number, word in enumerate(("ND", "DIS2D")):
        for name, kind in (("trace", "TRACEW"), ("adc_map", "ADC")):
            words = ["DERIVED", "PRIMARY", "DIFFUSION", kind, word]
            made[name, word] = getattr(dicom, name)(10 + number, image_type=words)
    pair = read_dicom_pair(dicom.classic(*made.values()))
    assert np.array_equal(pair.dwi.data_XYZ, made["trace", "DIS2D"].volume.data_XYZ)
    assert np.array_equal(pair.adc.data_XYZ, made["adc_map", "DIS2D"].volume.data_XYZ)


def with_private(
    datasets: list[FileDataset], group: int, creator: str, element: int, vr: str, value: object
) -> list[FileDataset]:
    for one in datasets:
        one.private_block(group, creator, create=True).add_new(element, vr, value)
    return datasets


def test_a_ge_study_is_read_by_private_b_value_and_description(dicom: SimpleNamespace) -> None:
    kind = ["ORIGINAL", "PRIMARY", "OTHER"]
    b0, dwi = (dicom.raw(b, uid="1.2.7", image_type=kind) for b in (0.0, 1000.0))
    said = "Apparent Diffusion Coefficient (mm2/s)"
    adc = dicom.adc_map(image_type=["DERIVED", "SECONDARY"], description=said)
    exponential = dicom.adc_map(6, image_type=["DERIVED", "SECONDARY"], description=f"Exp. {said}")
    datasets = dicom.classic_datasets(adc) + dicom.classic_datasets(exponential)
    for series, number in ((b0, 0), (dwi, 1_000_001_000)):
        slices = dicom.classic_datasets(series)
        for one in slices:
            del one.DiffusionBValue
        datasets += with_private(slices, 0x0043, "GEMS_PARM_01", 0x39, "IS", [number, 8, 0, 0])
    pair = read_dicom_pair({f"{k:03d}": dicom.to_bytes(one) for k, one in enumerate(datasets)})
    assert np.array_equal(pair.adc.data_XYZ, adc.volume.data_XYZ)
    assert np.array_equal(pair.dwi.data_XYZ, dwi.volume.data_XYZ)
    assert pair.b0 is not None
    assert np.array_equal(pair.b0.data_XYZ, b0.volume.data_XYZ)
    assert pair.b_value_s_mm2 == 1000
    assert pair.provenance["directions"].startswith("not told by the header")
    (warning,) = pair.warnings
    assert "made of 1 diffusion-weighted image whose header tells no gradient" in warning


def test_one_direction_that_is_told_by_no_header_is_warned_of_where_it_is_fitted(
    dicom: SimpleNamespace,
) -> None:
    weighted = [dicom.raw(1000.0, uid="1.2.7", first_instance=1 + 20 * k) for k in range(3)]
    b0 = dicom.raw(0.0, uid="1.2.7")
    assert len(read_dicom_pair(dicom.classic(b0, weighted[0])).warnings) == 1
    assert not read_dicom_pair(dicom.classic(b0, *weighted)).warnings


def test_ges_private_directions_are_read(dicom: SimpleNamespace) -> None:
    datasets = dicom.classic_datasets(dicom.raw(0.0, uid="1.2.7"))
    for number, axis in enumerate(AXES):
        series = dicom.raw(1000.0, uid="1.2.7", first_instance=20 * (1 + number))
        slices = dicom.classic_datasets(series)
        for part, element in zip(axis, (0xBB, 0xBC, 0xBD), strict=True):
            slices = with_private(slices, 0x0019, "GEMS_ACQU_01", element, "DS", part)
        datasets += slices
    files = {f"{k:03d}": dicom.to_bytes(one) for k, one in enumerate(datasets)}
    pair = read_dicom_pair(files)
    assert pair.provenance["directions"] == "3"
    assert pair.warnings == ()
    with pytest.raises(SeriesError, match="1 gradient directions"):
        read_dicom_pair(dict(list(files.items())[:16]))


@pytest.mark.parametrize("gain", [0.02, 0.03])
def test_philips_series_are_pooled_only_where_their_gains_are_alike(
    dicom: SimpleNamespace, gain: float
) -> None:
    creator = "Philips MR Imaging DD 001"
    series = [dicom.raw(0.0), *(dicom.raw(1000.0, axis) for axis in AXES)]
    datasets = with_private(dicom.classic_datasets(series[0]), 0x2005, creator, 0x0E, "FL", 0.02)
    for one in series[1:]:
        slices = dicom.classic_datasets(one)
        datasets += with_private(slices, 0x2005, creator, 0x0E, "FL", gain)
    files = {f"{k:03d}": dicom.to_bytes(one) for k, one in enumerate(datasets)}
    if gain == 0.02:
        assert read_dicom_pair(files).provenance["adc"].startswith("fitted over b 0, 1000")
        return
    with pytest.raises(SeriesError, match=r"gains 0\.02 to 0\.03"):
        read_dicom_pair(files)
