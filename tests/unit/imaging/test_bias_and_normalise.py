"""Shading goes, tissue stays; intensities land on their scales.

Axis suffixes: X Y Z voxels (2x2x4 mm).
"""

from __future__ import annotations

import numpy as np
import pytest

from pirta.contracts.study import GRID_SHAPE, GRID_SPACING_MM
from pirta.errors import IntensityError
from pirta.imaging.bias import fit_log_field, thinning
from pirta.imaging.normalise import clip_adc, normalise_dwi


@pytest.fixture(scope="module")
def mask_XYZ() -> np.ndarray:
    x, y, z = (
        (np.arange(side) - (side - 1) / 2) * mm
        for side, mm in zip(GRID_SHAPE, (2, 2, 4), strict=True)
    )
    return (
        (x[:, None, None] / 66) ** 2 + (y[None, :, None] / 84) ** 2 + (z[None, None] / 60) ** 2
    ) < 1


def test_a_known_shading_is_mostly_taken_out(mask_XYZ: np.ndarray) -> None:
    rng = np.random.default_rng(0)
    tissue_XYZ = np.where(rng.random(GRID_SHAPE) < 0.4, 80.0, 100.0)
    x = np.linspace(-1, 1, GRID_SHAPE[0])[:, None, None]
    y = np.linspace(-1, 1, GRID_SHAPE[1])[None, :, None]
    shaded_XYZ = np.where(mask_XYZ, tissue_XYZ * np.exp(0.3 * x + 0.2 * y**2), 0)
    log_field_XYZ = fit_log_field(
        shaded_XYZ.astype(np.float32),
        mask_XYZ,
        GRID_SPACING_MM,
        fit_spacing_mm=16,
        iterations=(15, 15),
    )
    assert log_field_XYZ[mask_XYZ].mean() == pytest.approx(0, abs=1e-5)
    corrected_XYZ = shaded_XYZ / np.exp(log_field_XYZ)

    def unevenness(values_XYZ: np.ndarray) -> float:
        return float(np.std(np.log(values_XYZ[mask_XYZ] / tissue_XYZ[mask_XYZ])))

    assert unevenness(corrected_XYZ) < 0.35 * unevenness(shaded_XYZ)
    assert not corrected_XYZ[~mask_XYZ].any()


@pytest.mark.parametrize("value", [0.0, 5.0])
def test_a_volume_without_contrast_passes_unchanged(mask_XYZ: np.ndarray, value: float) -> None:
    flat_XYZ = np.where(mask_XYZ, np.float32(value), np.float32(0))
    found_XYZ = fit_log_field(
        flat_XYZ, mask_XYZ, GRID_SPACING_MM, fit_spacing_mm=16, iterations=(5,)
    )
    assert not found_XYZ.any()


@pytest.mark.parametrize(
    ("shape", "spacing_mm", "expected"),
    [
        ((192, 192, 32), (1.2, 1.2, 5.0), [4, 4, 1]),
        ((112, 112, 73), (2.0, 2.0, 2.0), [3, 3, 1]),
        ((30, 192, 192), (6.0, 1.0, 1.0), [1, 5, 5]),
        ((12, 12, 30), (1.0, 1.0, 4.0), [3, 3, 1]),
    ],
)
def test_the_fitting_grid_is_thinned_in_the_plane_only(
    shape: tuple[int, ...], spacing_mm: tuple[float, float, float], expected: list[int]
) -> None:
    assert thinning(shape, spacing_mm, fit_spacing_mm=5.2) == expected


def test_dwi_comes_in_brain_medians_whatever_the_gain(mask_XYZ: np.ndarray) -> None:
    data_XYZ = np.random.default_rng(0).uniform(50, 150, GRID_SHAPE).astype(np.float32)
    first_XYZ = normalise_dwi(data_XYZ, mask_XYZ)
    assert np.median(first_XYZ[mask_XYZ]) == pytest.approx(1.0, abs=1e-5)
    assert not first_XYZ[~mask_XYZ].any()
    np.testing.assert_allclose(normalise_dwi(data_XYZ * 37, mask_XYZ), first_XYZ, rtol=1e-5)


def test_a_dwi_without_signal_in_the_brain_is_refused(mask_XYZ: np.ndarray) -> None:
    data_XYZ = np.zeros(GRID_SHAPE, np.float32)
    for mask in (mask_XYZ, np.zeros_like(mask_XYZ)):
        with pytest.raises(IntensityError, match="median inside the brain is 0"):
            normalise_dwi(data_XYZ, mask)


def test_adc_keeps_its_unit_and_loses_the_impossible(mask_XYZ: np.ndarray) -> None:
    data_XYZ = np.full(GRID_SHAPE, 0.8, np.float32)
    data_XYZ[48, 56, 24], data_XYZ[48, 56, 25] = -0.3, 9.0
    found_XYZ = clip_adc(data_XYZ, mask_XYZ)
    assert found_XYZ[48, 56, 24] == 0
    assert found_XYZ[48, 56, 25] == 4
    assert found_XYZ[48, 57, 24] == np.float32(0.8)
    assert not found_XYZ[~mask_XYZ].any()
