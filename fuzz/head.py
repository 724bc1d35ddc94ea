"""The small head that every seed study shows, so that the right answer is known.

Axis suffixes: X Y Z voxels (RAS+). Tissue and fluid with their ADC (10⁻³ mm²/s), and the signal
at any b value by S0 exp(-b ADC). No file is written here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SMALL_VOX, SMALL_MM = (20, 22, 12), (8.0, 8.0, 10.0)
LARGE_VOX, LARGE_MM = (44, 52, 30), (4.0, 4.0, 5.0)

ADC_TISSUE, ADC_FLUID = 0.8, 3.0


@dataclass(frozen=True)
class Head:
    """S0 and ADC of a head, on its grid.

    Attributes:
        s0_XYZ: signal without diffusion weighting; 0 outside where `stripped`, else noise.
        adc_XYZ: 10⁻³ mm²/s, 0 outside.
    """

    s0_XYZ: NDArray[np.float64]
    adc_XYZ: NDArray[np.float64]
    affine: NDArray[np.float64]
    spacing_mm: tuple[float, float, float]

    def signal(self, b_value_s_mm2: float, *, pull: float = 0.0) -> NDArray[np.int16]:
        """Return the whole-numbered signal at a b value; `pull` changes a direction's ADC."""
        weighted_XYZ = self.s0_XYZ * np.exp(-b_value_s_mm2 / 1000 * self.adc_XYZ * (1 + pull))
        return np.asarray(np.rint(weighted_XYZ), dtype=np.int16)

    def adc_micro(self) -> NDArray[np.int16]:
        """Return the ADC in whole 10⁻⁶ mm²/s, as scanners store it."""
        return np.rint(1000 * self.adc_XYZ).astype(np.int16)


def make_head(*, large: bool = False, stripped: bool = False) -> Head:
    """Return an ellipsoid of about 1.2 l with two ventricles."""
    shape, spacing_mm = (LARGE_VOX, LARGE_MM) if large else (SMALL_VOX, SMALL_MM)
    rng = np.random.default_rng(11)
    affine = np.diag([*spacing_mm, 1.0])
    affine[:3, 3] = [-side * step / 2 for side, step in zip(shape, spacing_mm, strict=True)]
    x, y, z = (
        step * (index - (side - 1) / 2)
        for index, side, step in zip(np.indices(shape), shape, spacing_mm, strict=True)
    )
    brain_XYZ = (x / 66) ** 2 + (y / 82) ** 2 + (z / 54) ** 2 < 1
    fluid_XYZ = ((np.abs(x) - 18) / 12) ** 2 + ((y - 6) / 40) ** 2 + ((z - 4) / 24) ** 2 < 1
    rim_XYZ = (x / 60) ** 2 + (y / 76) ** 2 + (z / 49) ** 2 > 1
    fluid_XYZ |= rim_XYZ & (rng.random(shape) < 0.4)
    texture_XYZ = rng.normal(1, 0.03, shape)
    s0_XYZ = np.where(fluid_XYZ, 1400.0, 900.0) * texture_XYZ
    outside_XYZ = 0.0 if stripped else rng.uniform(4, 20, shape)
    adc_XYZ = np.where(fluid_XYZ, ADC_FLUID, ADC_TISSUE) * rng.normal(1, 0.02, shape)
    return Head(
        s0_XYZ=np.where(brain_XYZ, s0_XYZ, outside_XYZ),
        adc_XYZ=np.where(brain_XYZ, adc_XYZ, 0.0),
        affine=affine,
        spacing_mm=spacing_mm,
    )
