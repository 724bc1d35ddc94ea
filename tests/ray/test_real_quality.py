"""The quality gate on real cases: none is refused, and each gate's value is the one on record.

The limits of `QualitySettings` stand on these values and on those of damaged copies. Here
because deepbet takes seconds; nothing starts Ray.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from pirta.contracts.quality import GateResult
from pirta.contracts.study import StudyImages
from pirta.imaging.adc_units import find_adc_unit
from pirta.imaging.quality.judge import judge
from pirta.imaging.read_pair import read_pair
from pirta.imaging.resample import grid_affine
from pirta.imaging.strip import AutoStripper
from pirta.settings import DEFAULT_QUALITY

pytestmark = pytest.mark.ray


def _isles(shared_data: Path) -> StudyImages:
    folder = shared_data / "isles22-strokecase0009"
    dwi, adc = (
        (folder / f"sub-strokecase0009_ses-0001_{kind}.nii.gz").read_bytes()
        for kind in ("dwi", "adc")
    )
    return StudyImages(dwi=dwi, adc=adc)


def _jhu(shared_data: Path) -> StudyImages:
    folder = shared_data / "jhu-ads-subject02"
    dwi, adc, b0 = (
        (folder / f"Subject02_{kind}.nii.gz").read_bytes() for kind in ("DWI", "ADC", "b0")
    )
    return StudyImages(dwi=dwi, adc=adc, b0=b0)


def _siemens(shared_data: Path) -> StudyImages:
    folder = shared_data / "dicom-siemens-xa30"
    return StudyImages(files={name: (folder / name).read_bytes() for name in SIEMENS_FILES})


def _philips(shared_data: Path) -> StudyImages:
    name = "classic.tar.gz"
    return StudyImages(files={name: (shared_data / "dicom-philips" / name).read_bytes()})


SIEMENS_FILES = ("series11.dcm", "series12.dcm")
CASES = {"isles": _isles, "jhu": _jhu, "siemens": _siemens, "philips": _philips}

# gate: value on record and how far another machine's arithmetic may take it
ON_RECORD: dict[str, dict[str, tuple[float, float]]] = {
    "isles": {
        "brain_extent": (140, 0), "brain_volume": (1449, 5), "brain_cut": (0.4, 0.1),
        "left_out": (0, 0), "snr": (23.4, 0.5), "dropout": (78, 1), "adc_low": (0.904, 0.002),
    },
    "jhu": {
        "brain_extent": (135, 5), "brain_volume": (1200, 30), "brain_cut": (0, 0),
        "left_out": (0.1, 0.3), "snr": (21.0, 0.5), "dropout": (95, 2), "motion": (0.1, 0.2),
        "adc_low": (0.875, 0.01),
    },
    "siemens": {
        "brain_extent": (117, 3), "brain_volume": (1448, 40), "brain_cut": (36.5, 4),
        "left_out": (0.1, 0.3), "snr": (29, 1), "slice_gap": (0, 0.1), "b_value_high": (2500, 0),
        "adc_low": (0.667, 0.01),
    },
    "philips": {
        "brain_extent": (64, 0), "brain_volume": (1077, 40), "brain_cut": (79, 5),
        "left_out": (0.4, 0.5), "snr": (29.7, 1), "motion": (0.1, 0.2), "adc_low": (0.756, 0.01),
    },
}  # fmt: skip
WARNED = {
    "isles": set(),
    "jhu": set(),
    "siemens": {"b_value_high"},  # a trace at b 2500
    "philips": {"brain_extent", "brain_cut"},  # a slab of 64 mm
}


@pytest.fixture(scope="module")
def stripper() -> AutoStripper:
    return AutoStripper()


def _gates(images: StudyImages, stripper: AutoStripper) -> Mapping[str, GateResult]:
    pair = read_pair(images)
    brain_XYZ = stripper.strip(pair.dwi)
    reading = find_adc_unit(pair.adc.data_XYZ, brain_XYZ, stated=pair.adc_unit)
    results = judge(
        pair,
        brain_XYZ,
        adc_factor=reading.factor,
        adc_median=reading.median,
        grid=grid_affine(brain_XYZ, pair.dwi.affine),
        settings=DEFAULT_QUALITY,
    )
    return {one.gate: one for one in results}


@pytest.mark.parametrize("name", CASES)
def test_a_real_case_is_judged_as_on_record_and_not_refused(
    shared_data: Path, stripper: AutoStripper, name: str
) -> None:
    gates = _gates(CASES[name](shared_data), stripper)
    for gate, (value, tolerance) in ON_RECORD[name].items():
        assert gates[gate].value == pytest.approx(value, abs=tolerance + 0.05), gate
    assert {gate for gate, one in gates.items() if one.verdict != "pass"} == WARNED[name]
    assert "refuse" not in {one.verdict for one in gates.values()}
