"""What is taken from .bval, .bvec and JSON files, and what is refused."""

from __future__ import annotations

import json

import numpy as np
import pytest

from pirta.errors import SeriesError
from pirta.imaging.adc_units import UNITS
from pirta.imaging.sidecars import ImageFacts, read_b_values, read_directions, read_image_facts


@pytest.mark.parametrize("text", ["0 5 1000", "0\n5\n1000\n", " 0,5,1e3\r\n", "\ufeff0\t5 1000.0"])
def test_b_values_are_read_in_rows_and_in_columns(text: str) -> None:
    assert read_b_values(text.encode()) == [0, 5, 1000]


def test_directions_are_read_in_rows_and_in_columns() -> None:
    directions = np.random.default_rng(0).normal(size=(5, 3))
    for table in (directions, directions.T):
        text = "\n".join(" ".join(f"{x:.9f}" for x in row) for row in table)
        np.testing.assert_allclose(read_directions(text.encode()), directions, atol=1e-8)


@pytest.mark.parametrize("data", [b" \n", b"0 x", b"0 1\n2", b"inf", b"\xff\xfe0", b"0 " * 40_000])
def test_what_is_no_table_of_numbers_is_refused(data: bytes) -> None:
    with pytest.raises(SeriesError, match="no table of numbers"):
        read_b_values(data)


@pytest.mark.parametrize(
    ("text", "unit", "factor"),
    [
        ("mm^2/s", "mm²/s", 1e3),
        ("mm²/s", "mm²/s", 1e3),
        ("10^-3 mm^2/s", "10⁻³ mm²/s", 1.0),
        ("×10⁻³ mm²/s", "10⁻³ mm²/s", 1.0),
        ("1e-3 mm2/s", "10⁻³ mm²/s", 1.0),
        ("um^2/ms", "10⁻³ mm²/s", 1.0),
        ("µm²/s", "10⁻⁶ mm²/s", 1e-3),
        ("10^-6 mm^2/s", "10⁻⁶ mm²/s", 1e-3),
    ],
)
def test_an_adc_unit_is_known_however_it_is_written(text: str, unit: str, factor: float) -> None:
    assert read_image_facts(json.dumps({"Units": text}).encode()).adc_unit == unit
    assert UNITS[unit] == factor


def test_unknown_units_and_types_leave_the_question_open() -> None:
    fields = {"Units": "arbitrary", "ImageType": ["ORIGINAL", "M_SE"], "PatientName": "Doe"}
    assert read_image_facts(json.dumps(fields).encode()) == ImageFacts()


@pytest.mark.parametrize(
    ("image_type", "kind"),
    [
        (["DERIVED", "PRIMARY", "DIFFUSION", "ADC", "NORM"], "adc"),
        (["ORIGINAL", "PRIMARY", "ADC_UNSPECIFIED"], "adc"),
        (["DERIVED", "DIFFUSION", "TRACEW"], "dwi"),
        (["DERIVED", "ISOTROPIC"], "dwi"),
        (["DERIVED", "DIFFUSION", "FA"], "other"),
        (["DERIVED", "EADC"], "other"),
        ("ADC", "adc"),
        (7, None),
    ],
)
def test_an_image_type_tells_what_an_image_is(image_type: object, kind: str | None) -> None:
    assert read_image_facts(json.dumps({"ImageType": image_type}).encode()).kind == kind


@pytest.mark.parametrize("value", ["800", True, -1, 1e9, [800]])
def test_a_b_value_that_is_no_number_is_refused(value: object) -> None:
    with pytest.raises(SeriesError, match="DiffusionBValue is no number"):
        read_image_facts(json.dumps({"DiffusionBValue": value}).encode())
