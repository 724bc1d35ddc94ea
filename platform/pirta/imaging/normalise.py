"""Bring intensities to a scale on which scanners compare.

Axis suffixes: X Y Z voxels (RAS+, 2x2x4 mm). DWI has no unit: it is divided by the brain's
median. ADC has one and keeps it, in 10⁻³ mm²/s; what lies outside the physical range of
water at body temperature is noise and is clipped. Background is exactly 0 in both.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pirta.errors import IntensityError

ADC_RANGE = (0.0, 4.0)
"""10⁻³ mm²/s; free water at 37 °C is near 3.0."""

DWI_RANGE = (0.0, 20.0)
"""Brain medians; the brightest infarcts stay below 10. Only stray spikes lie above."""


def normalise_dwi(dwi_XYZ: NDArray[np.float32], mask_XYZ: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return the DWI in units of the brain's median.

    Raises:
        IntensityError: the median is not positive.
    """
    median = float(np.median(dwi_XYZ[mask_XYZ])) if mask_XYZ.any() else 0.0
    if not median > 0:
        raise IntensityError(
            f"The DWI's median inside the brain is {median:g}.",
            remedy="Send the magnitude (trace) DWI, unshifted: its signal is above zero.",
        )
    scaled_XYZ = np.clip(dwi_XYZ / median, *DWI_RANGE)
    return np.where(mask_XYZ, scaled_XYZ, 0.0).astype(np.float32)


def clip_adc(adc_XYZ: NDArray[np.float32], mask_XYZ: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return the ADC (10⁻³ mm²/s) clipped to `ADC_RANGE`, and 0 outside the brain."""
    return np.where(mask_XYZ, np.clip(adc_XYZ, *ADC_RANGE), 0.0).astype(np.float32)
