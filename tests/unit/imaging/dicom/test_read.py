"""Phantoms written as classic and Enhanced DICOM read back to themselves."""

from __future__ import annotations

import io
import itertools
import random
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from pirta.imaging.dicom.read import read_dicom_pair
from pirta.imaging.volume import Volume

AXES = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
TURNS = [
    np.array(list(zip(axes, flips, strict=True)))
    for axes in itertools.permutations(range(3))
    for flips in itertools.product((1, -1), repeat=3)
]


def same(found: Volume, expected: Volume) -> bool:
    return bool(
        np.array_equal(found.data_XYZ, expected.data_XYZ)
        and np.allclose(found.affine, expected.affine, atol=1e-4)
    )


def shuffled(files: dict[str, bytes], seed: int) -> dict[str, bytes]:
    contents = list(files.values())
    random.Random(seed).shuffle(contents)
    return {f"{number}": data for number, data in enumerate(contents)}


@settings(max_examples=16, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    turn=st.sampled_from(TURNS),
    seed=st.integers(0, 999),
    degrees=st.floats(-40, 40),
    axis=st.integers(0, 2),
)
def test_any_stored_orientation_and_any_order_of_files_reads_back_to_the_phantom(
    dicom: SimpleNamespace, turn: np.ndarray, seed: int, degrees: float, axis: int
) -> None:
    affine = dicom.tilted(degrees, axis)
    trace, adc = (make(turn=turn, affine=affine) for make in (dicom.trace, dicom.adc_map))
    pair = read_dicom_pair(shuffled(dicom.classic(trace, adc), seed))
    assert same(pair.dwi, trace.volume)
    assert same(pair.adc, adc.volume)
    assert pair.b_value_s_mm2 == 1000


@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(turn=st.sampled_from(TURNS), seed=st.integers(0, 999), degrees=st.floats(-40, 40))
def test_enhanced_frames_in_any_order_and_orientation_read_back_to_the_phantom(
    dicom: SimpleNamespace, turn: np.ndarray, seed: int, degrees: float
) -> None:
    affine = dicom.tilted(degrees)
    b0 = dicom.raw(0.0, turn=turn, affine=affine)
    trace, adc = (make(turn=turn, affine=affine) for make in (dicom.trace, dicom.adc_map))
    num_frames = 2 * b0.stored()[0].shape[2]
    order = np.random.default_rng(seed).permutation(num_frames)
    files = {
        "a": dicom.to_bytes(dicom.enhanced_dataset(b0, trace, order=order)),
        "b": dicom.to_bytes(dicom.enhanced_dataset(adc)),
    }
    pair = read_dicom_pair(files)
    assert same(pair.dwi, trace.volume)
    assert same(pair.adc, adc.volume)
    assert pair.b0 is not None
    assert same(pair.b0, b0.volume)
    assert pair.slice_thickness_mm == 3.5


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian])
def test_files_without_preamble_and_meta_header_are_read(
    dicom: SimpleNamespace, syntax: str
) -> None:
    trace, adc = dicom.trace(), dicom.adc_map()
    files = {}
    for one in (*dicom.classic_datasets(trace), *dicom.classic_datasets(adc)):
        stream = io.BytesIO()
        bare = Dataset({element.tag: element for element in one})
        bare.save_as(stream, implicit_vr=syntax == ImplicitVRLittleEndian, little_endian=True)
        files[str(len(files))] = stream.getvalue()
    pair = read_dicom_pair(files)
    assert same(pair.dwi, trace.volume)
    assert same(pair.adc, adc.volume)


def test_a_classic_image_that_counts_its_one_frame_is_read(dicom: SimpleNamespace) -> None:
    trace, adc = dicom.trace(extra={"NumberOfFrames": 1}), dicom.adc_map()
    assert same(read_dicom_pair(dicom.classic(trace, adc)).dwi, trace.volume)


def test_isotropic_frames_beside_directions_are_the_scanners_trace(
    dicom: SimpleNamespace,
) -> None:
    b0, mean = dicom.raw(0.0), dicom.raw(1000.0)
    directions = [dicom.raw(1000.0, axis) for axis in AXES]
    mean.volume.data_XYZ[:] -= 1
    dataset = dicom.enhanced_dataset(b0, *directions, mean)
    for frame in dataset.PerFrameFunctionalGroupsSequence[-8:]:
        frame.MRDiffusionSequence[0].DiffusionDirectionality = "ISOTROPIC"
    pair = read_dicom_pair({"a": dicom.to_bytes(dataset)})
    assert same(pair.dwi, mean.volume)
    expected_XYZ = -np.log(mean.volume.data_XYZ / b0.volume.data_XYZ)
    assert np.allclose(pair.adc.data_XYZ, expected_XYZ, atol=1e-3)


def test_left_stays_left(dicom: SimpleNamespace) -> None:
    trace, adc = dicom.trace(), dicom.adc_map()
    trace.volume.data_XYZ[-1, 3, 4] = 5000  # RAS+: the last X is the patient's right
    pair = read_dicom_pair(dicom.classic(trace, adc))
    x, y, z = np.unravel_index(int(pair.dwi.data_XYZ.argmax()), pair.dwi.data_XYZ.shape)
    place_mm = pair.dwi.affine @ [x, y, z, 1]
    assert (x, y, z) == (5, 3, 4)
    assert np.allclose(place_mm[:3], [4.5, -0.75, 28.0])  # -5.5 + 5 * 2, -8.25 + 3 * 2.5, ...


def test_rescale_slopes_are_applied_slice_by_slice(dicom: SimpleNamespace) -> None:
    trace, adc = dicom.trace(), dicom.adc_map(slope=2.0)
    datasets = dicom.classic_datasets(adc)
    plain = {f"p{k}": dicom.to_bytes(one) for k, one in enumerate(datasets)}
    datasets[3].RescaleSlope, datasets[3].RescaleIntercept = 4.0, -10
    changed = {f"p{k}": dicom.to_bytes(one) for k, one in enumerate(datasets)}
    files = dicom.classic(trace)
    before, after = (read_dicom_pair(files | adc_files).adc for adc_files in (plain, changed))
    expected_XYZ = before.data_XYZ.copy()
    expected_XYZ[:, :, 3] = 2 * expected_XYZ[:, :, 3] - 10
    assert np.array_equal(after.data_XYZ, expected_XYZ)


def test_trace_and_adc_are_computed_from_raw_directions(dicom: SimpleNamespace) -> None:
    uid = "1.2.3.5"
    b0s = [dicom.raw(b, (0.5, 0.5, 0.7), uid=uid) for b in (0.0, 0.001, 0.004)]
    series = [*b0s, *(dicom.raw(1000.0, axis, uid=uid) for axis in AXES)]
    pair = read_dicom_pair(shuffled(dicom.classic(*series), 3))
    expected_XYZ = -np.log(series[-1].volume.data_XYZ / b0s[0].volume.data_XYZ)
    assert np.allclose(pair.adc.data_XYZ, expected_XYZ, atol=1e-3)
    assert np.allclose(pair.dwi.data_XYZ, series[-1].volume.data_XYZ, rtol=1e-5)
    assert pair.adc_unit == "10⁻³ mm²/s"
    assert pair.provenance["directions"] == "3"
    assert pair.provenance["b0"] == "mean of 3"


def test_each_b_value_in_a_series_of_its_own_is_pooled(dicom: SimpleNamespace) -> None:
    series = [dicom.raw(0.0), *(dicom.raw(1000.0, axis) for axis in AXES)]
    pair = read_dicom_pair(dicom.classic(*series))
    expected_XYZ = -np.log(series[-1].volume.data_XYZ / series[0].volume.data_XYZ)
    assert np.allclose(pair.adc.data_XYZ, expected_XYZ, atol=1e-3)


def test_the_adc_is_fitted_beside_a_scanner_trace_that_comes_with_its_b0(
    dicom: SimpleNamespace,
) -> None:
    kind = ["DERIVED", "PRIMARY", "DIFFUSION", "TRACEW"]
    b0, trace = (dicom.raw(b, uid="1.2.3.6", image_type=kind) for b in (0.0, 1000.0))
    pair = read_dicom_pair(dicom.classic(b0, trace))
    expected_XYZ = -np.log(trace.volume.data_XYZ / b0.volume.data_XYZ)
    assert np.allclose(pair.adc.data_XYZ, expected_XYZ, atol=1e-3)
    assert same(pair.dwi, trace.volume)
    assert pair.provenance["source"] == "scanner trace"


def test_repeated_volumes_without_a_distinction_are_told_apart_by_order(
    dicom: SimpleNamespace,
) -> None:
    repeats = [dicom.raw(0.0, uid="1.2.3.7", first_instance=first) for first in (1, 101)]
    repeats[1].volume.data_XYZ[:] += 100
    trace = dicom.trace(uid="1.2.3.7")
    pair = read_dicom_pair(shuffled(dicom.classic(*repeats, trace, dicom.adc_map()), 4))
    assert pair.b0 is not None
    assert np.array_equal(pair.b0.data_XYZ, repeats[0].volume.data_XYZ + 50)
