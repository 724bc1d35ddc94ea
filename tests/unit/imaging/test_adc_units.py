"""The unit of an ADC map is read off the brain."""

from __future__ import annotations

import numpy as np
import pytest

from pirta.errors import IntensityError
from pirta.imaging.adc_units import UNITS, find_adc_unit


@pytest.mark.parametrize("unit", list(UNITS))
@pytest.mark.parametrize("median", [0.45, 0.8, 1.2, 1.9])
def test_every_unit_is_found_for_every_plausible_brain(unit: str, median: float) -> None:
    rng = np.random.default_rng(0)
    true_XYZ = median * rng.uniform(0.8, 1.2, (12, 12, 12)).astype(np.float32)
    stored_XYZ = true_XYZ / np.float32(UNITS[unit])
    reading = find_adc_unit(stored_XYZ, np.ones(true_XYZ.shape, bool))
    assert reading.unit == unit
    np.testing.assert_allclose(stored_XYZ * reading.factor, true_XYZ, rtol=1e-5)
    assert reading.median == pytest.approx(np.median(true_XYZ), rel=1e-5)


def test_only_the_brain_counts(brain) -> None:
    noisy_XYZ = np.where(brain.mask_XYZ, brain.adc.data_XYZ, np.float32(900))
    assert find_adc_unit(noisy_XYZ, brain.mask_XYZ).unit == "10⁻³ mm²/s"


@pytest.mark.parametrize("median", [0.05, 30.0, 1e5, 1e-6])
def test_a_median_of_no_brain_is_refused_with_the_number(median: float) -> None:
    adc_XYZ = np.full((6, 6, 6), median, np.float32)
    with pytest.raises(IntensityError, match="no brain in any unit"):
        find_adc_unit(adc_XYZ, np.ones(adc_XYZ.shape, bool))


def test_a_map_that_is_mostly_empty_is_refused(brain) -> None:
    few_XYZ = brain.adc.data_XYZ * (np.arange(48) < 16)[:, None, None]
    with pytest.raises(IntensityError, match="of the brain only"):
        find_adc_unit(few_XYZ, brain.mask_XYZ)
    with pytest.raises(IntensityError, match="0% of the brain"):
        find_adc_unit(-brain.adc.data_XYZ, brain.mask_XYZ)
    with pytest.raises(IntensityError):
        find_adc_unit(brain.adc.data_XYZ, np.zeros_like(brain.mask_XYZ))


@pytest.mark.parametrize("unit", UNITS)
def test_a_stated_unit_is_taken_also_where_the_brain_is_unusual(unit: str) -> None:
    adc_XYZ = np.full((6, 6, 6), 2.6 / UNITS[unit], np.float32)
    reading = find_adc_unit(adc_XYZ, np.ones(adc_XYZ.shape, bool), stated=unit)
    assert (reading.unit, reading.source) == (unit, "metadata")
    assert reading.median == pytest.approx(2.6)
    with pytest.raises(IntensityError):
        find_adc_unit(adc_XYZ, np.ones(adc_XYZ.shape, bool))


@pytest.mark.parametrize(("stated", "true"), [(a, b) for a in UNITS for b in UNITS if a != b])
def test_a_stated_unit_that_the_brain_contradicts_is_refused_with_both_numbers(
    stated: str, true: str
) -> None:
    adc_XYZ = np.full((6, 6, 6), 0.8 / UNITS[true], np.float32)
    with pytest.raises(IntensityError, match=f"said to be in {stated}") as caught:
        find_adc_unit(adc_XYZ, np.ones(adc_XYZ.shape, bool), stated=stated)
    assert f"{0.8 / UNITS[true]:.4g}" in caught.value.message
    assert f"{0.8 / UNITS[true] * UNITS[stated]:.4g}" in caught.value.message
