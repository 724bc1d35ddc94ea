"""What one header says: b value, kind, unit, and whether the file is DICOM at all."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from pydicom.dataset import Dataset

from pirta.imaging.adc_units import unit_named
from pirta.imaging.dicom.b_values import b_value_of, direction_of
from pirta.imaging.dicom.detect import is_dicom
from pirta.imaging.dicom.kinds import kind_of
from pirta.imaging.dicom.private import numbers_of
from pirta.imaging.dicom.rescale import rescale_of


def private(group: int, creator: str, element: int, vr: str, value: object) -> Dataset:
    dataset = Dataset()
    dataset.private_block(group, creator, create=True).add_new(element, vr, value)
    return dataset


@pytest.mark.parametrize(
    ("header", "b_value"),
    [
        (private(0x0019, "SIEMENS MR HEADER", 0x0C, "IS", "1000"), 1000),
        (private(0x0019, "SIEMENS MR HEADER", 0x0C, "UN", b"800 "), 800),
        (private(0x2001, "Philips Imaging DD 001", 0x03, "FL", 0.004), 0.004),
        (private(0x2001, "Philips Imaging DD 001", 0x03, "UN", struct.pack("<f", 1000)), 1000),
        (private(0x0043, "GEMS_PARM_01", 0x39, "IS", [1_000_001_000, 8, 0, 0]), 1000),
        (private(0x0043, "GEMS_PARM_01", 0x39, "UN", b"1000000050\\8\\0\\0"), 50),
        (private(0x0043, "GEMS_PARM_01", 0x39, "IS", [700, 8, 0, 0]), 700),
        (private(0x0065, "Image Private Header", 0x09, "FD", 1000.0), 1000),
    ],
)
def test_b_values_are_found_in_vendors_private_elements(header: Dataset, b_value: float) -> None:
    assert b_value_of(header, None, {}) == pytest.approx(b_value, abs=1e-6)


def test_the_standard_b_value_wins_over_a_private_one() -> None:
    header = private(0x0019, "SIEMENS MR HEADER", 0x0C, "IS", "500")
    header.DiffusionBValue = 1000.0
    assert b_value_of(header, None, {}) == 1000


def test_an_element_of_another_creator_is_no_b_value() -> None:
    assert b_value_of(private(0x0019, "SOMEBODY ELSE", 0x0C, "IS", "500"), None, {}) is None


def test_a_private_element_whose_creator_was_taken_away_is_still_read() -> None:
    header = Dataset()
    header.add_new(0x0019100C, "IS", "500")
    assert b_value_of(header, None, {}) == 500


def test_the_csa_header_tells_b_value_and_direction() -> None:
    csa = {"B_value": [1000], "DiffusionGradientDirection": [0.0, 0.6, -0.8]}
    assert b_value_of(Dataset(), None, csa) == 1000
    assert direction_of(Dataset(), None, csa) == (0.0, 0.6, -0.8)
    assert direction_of(Dataset(), None, {"DiffusionGradientDirection": []}) is None


@pytest.mark.parametrize("b_value", [-1.0, float("nan"), float("inf"), 1e9])
def test_a_b_value_that_no_scanner_has_is_an_error(b_value: float) -> None:
    header = Dataset()
    header.DiffusionBValue = b_value
    with pytest.raises(ValueError, match="b value"):
        b_value_of(header, None, {})


@pytest.mark.parametrize(
    ("image_type", "description", "kind"),
    [
        ("ORIGINAL PRIMARY DIFFUSION NONE ND NORM", "ep2d_diff", "raw"),
        ("ORIGINAL PRIMARY M_SE M SE", "DTI", "raw"),
        ("ORIGINAL PRIMARY OTHER", "Ax DWI Asset", "raw"),
        ("DERIVED PRIMARY DIFFUSION TRACEW ND NORM", "ep2d_diff_TRACEW", "trace"),
        ("DERIVED SECONDARY COMBINED", "Ax DWI", "trace"),
        ("DERIVED PRIMARY DIFFUSION", "Isotropic image", "trace"),
        ("DERIVED PRIMARY DIFFUSION ADC ND", "ep2d_diff_ADC", "adc"),
        ("ORIGINAL PRIMARY ADC_UNSPECIFIED ADC UNSPECIFIED", "dADC", "adc"),
        ("DERIVED SECONDARY", "Apparent Diffusion Coefficient (mm2/s)", "adc"),
        ("DERIVED SECONDARY", "Exponential Apparent Diffusion Coefficient", "other"),
        ("DERIVED PRIMARY EADC", "eADC", "other"),
        ("DERIVED PRIMARY DIFFUSION FA", "ep2d_diff_FA", "other"),
        ("ORIGINAL PRIMARY PHASE MAP P SE", "DTI", "other"),
        ("ORIGINAL PRIMARY LOCALIZER", "survey", "other"),
        ("DERIVED PRIMARY DIFFUSION CALC_BVALUE TRACEW", "calc", "other"),
    ],
)
def test_kinds_are_told_by_image_type_and_description(
    image_type: str, description: str, kind: str
) -> None:
    header = Dataset()
    header.SeriesDescription = description
    found = kind_of(
        header,
        image_type=image_type.split(),
        diffusion=None,
        complex_component="",
        b_value=1000.0,
    )
    assert found == kind


def test_a_b_value_of_0_makes_no_diffusion_image_of_an_anatomical_one() -> None:
    header = private(0x2001, "Philips Imaging DD 001", 0x20, "LO", "T2TSE")
    kinds = []
    for technique in ("T2TSE", "DwiSE"):
        header[0x2001, 0x1020].value = technique
        kinds.append(
            kind_of(
                header,
                image_type=["ORIGINAL", "PRIMARY", "M_SE", "M", "SE"],
                diffusion=None,
                complex_component="",
                b_value=0.0,
            )
        )
    assert kinds == ["other", "raw"]


@pytest.mark.parametrize(
    ("image_type", "description"),
    [("DERIVED SECONDARY COMBINED", "Sag T2"), ("DERIVED SECONDARY REFORMATTED", "T1 3D iso")],
)
def test_words_that_others_carry_too_make_no_trace_without_a_b_value(
    image_type: str, description: str
) -> None:
    header = Dataset()
    header.SeriesDescription = description
    found = kind_of(
        header,
        image_type=image_type.split(),
        diffusion=None,
        complex_component="",
        b_value=None,
    )
    assert found == "other"


def test_what_has_no_b_value_and_no_name_is_no_diffusion_image() -> None:
    found = kind_of(
        Dataset(),
        image_type=["ORIGINAL", "PRIMARY", "M"],
        diffusion=None,
        complex_component="",
        b_value=None,
    )
    assert found == "other"


def test_a_philips_isotropic_image_is_a_trace() -> None:
    header = private(0x2001, "Philips Imaging DD 001", 0x04, "CS", "I")
    found = kind_of(
        header,
        image_type=["ORIGINAL", "PRIMARY", "M_SE", "M", "SE"],
        diffusion=None,
        complex_component="",
        b_value=1000.0,
    )
    assert found == "trace"


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("mm2/s", "mm²/s"),
        ("10*-3.mm2/s", "10⁻³ mm²/s"),
        ("10^-6 mm2/s", "10⁻⁶ mm²/s"),
        ("um2/s", "10⁻⁶ mm²/s"),
        ("um2/ms", "10⁻³ mm²/s"),
        ("US", None),
        ("", None),
    ],
)
def test_units_are_read_from_their_texts(text: str, unit: str | None) -> None:
    assert unit_named(text) == unit


def test_a_real_world_mapping_tells_unit_and_slope_of_an_adc() -> None:
    mapping, unit, image = Dataset(), Dataset(), Dataset()
    unit.CodeValue = "mm2/s"
    mapping.MeasurementUnitsCodeSequence = [unit]
    mapping.RealWorldValueSlope, mapping.RealWorldValueIntercept = 1e-6, 0.0
    image.RescaleSlope, image.RescaleIntercept = "2", "0"
    adc = rescale_of(image, mapping, is_adc=True, manufacturer="SIEMENS")
    assert (adc.slope, adc.adc_unit) == (1e-6, "mm²/s")
    dwi = rescale_of(image, mapping, is_adc=False, manufacturer="SIEMENS")
    assert (dwi.slope, dwi.adc_unit) == (2.0, None)


def test_an_adc_whose_header_tells_no_unit_leaves_it_to_the_brain() -> None:
    assert rescale_of(None, None, is_adc=True, manufacturer="Philips").adc_unit is None
    assert rescale_of(None, None, is_adc=True, manufacturer="Siemens").adc_unit == "10⁻⁶ mm²/s"


def test_numbers_are_read_whatever_type_they_were_left_in() -> None:
    packed = np.array([1.5, -2.0]).tobytes()
    for value in ([1.5, -2.0], (1.5, -2.0), "1.5\\-2.0", packed):
        assert numbers_of(value, "d") == (1.5, -2.0)
    assert numbers_of(None, "d") == numbers_of("", "d") == numbers_of(b"", "d") == ()
    assert numbers_of(3, "i") == (3.0,)


def test_dicom_is_told_by_its_first_bytes() -> None:
    preamble = b"\0" * 128 + b"DICM"
    explicit = struct.pack("<HH2sH", 8, 0x16, b"UI", 26) + b"1.2.840.10008.5.1.4.1.1.4\0"
    implicit = struct.pack("<HHI", 8, 0x08, 18) + b"ORIGINAL\\PRIMARY\\M"
    assert is_dicom(preamble)
    assert is_dicom(explicit)
    assert is_dicom(implicit)
    nifti = struct.pack("<i", 348) + b"\0" * 344
    for other in (b"", b"\x1f\x8b\x08\0" * 8, nifti, b"ObjectType = Image\n", b"PK\x03\x04" * 8):
        assert not is_dicom(other)
