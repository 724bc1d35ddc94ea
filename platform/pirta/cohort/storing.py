"""From what the coil heard to what the files hold: ADC map, units, data type, orientation.

Axis suffixes: X Y Z voxels of the scanner's grid (right, anterior, superior), I J K voxels as
stored. ADC is in 10⁻³ mm²/s until `stored_units` puts it into the scanner's unit. This is the
one place outside `imaging` that turns axes, since it makes what `imaging` has to undo.
"""

from __future__ import annotations

from typing import TypeVar

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from pirta.cohort.acquisition import Placement
from pirta.cohort.scanner import ADC_UNIT_FACTOR, Scanner

Scalar = TypeVar("Scalar", bound=np.generic)

_HIGHEST_ADC = 4.0  # 10⁻³ mm²/s; scanners cut there or nearby
_MASK_BELOW_SHARE = 0.25  # of the brain's median b0, under which a masked ADC is 0


def adc_of(
    b0: NDArray[np.float32], dwi: NDArray[np.float32], b_value_s_mm2: float
) -> NDArray[np.float32]:
    """Return the ADC in 10⁻³ mm²/s from two images, within what a scanner would store."""
    least = np.float32(1e-6)
    ratio = np.log(np.maximum(b0, least) / np.maximum(dwi, least))
    adc = np.clip(ratio / np.float32(b_value_s_mm2 * 1e-3), 0, np.float32(_HIGHEST_ADC))
    return np.asarray(adc, np.float32)


def stored_units(
    b0_XYZ: NDArray[np.float32],
    dwi_XYZ: NDArray[np.float32],
    brain_XYZ: NDArray[np.uint8],
    scanner: Scanner,
) -> tuple[NDArray[np.generic], NDArray[np.generic]]:
    """Return DWI and ADC with the gain, unit, background and data type of the files."""
    adc_XYZ = adc_of(b0_XYZ, dwi_XYZ, scanner.b_value_s_mm2)
    if scanner.stripped:
        dwi_XYZ, adc_XYZ = dwi_XYZ * brain_XYZ, adc_XYZ * brain_XYZ
    elif scanner.adc_masked:
        typical = np.median(b0_XYZ[brain_XYZ > 0])
        adc_XYZ = adc_XYZ * (b0_XYZ > _MASK_BELOW_SHARE * typical)
    return (
        _as_dtype(dwi_XYZ * np.float32(scanner.gain), scanner.dwi_dtype),
        _as_dtype(adc_XYZ * np.float32(ADC_UNIT_FACTOR[scanner.adc_unit]), scanner.adc_dtype),
    )


def _as_dtype(values: NDArray[np.float32], dtype: str) -> NDArray[np.generic]:
    if dtype == "int16":
        return np.rint(np.clip(values, -32768, 32767)).astype(np.int16)
    return values


class Storing:
    """Turns an array of the scanner's grid to the orientation of its files."""

    def __init__(self, placement: Placement, scanner: Scanner) -> None:
        codes = nib.orientations.axcodes2ornt(tuple(scanner.orientation))
        # The grid is RAS but for the tilt, so its own codes are these whatever the angle.
        self._turn = nib.orientations.ornt_transform(
            nib.orientations.axcodes2ornt(("R", "A", "S")), codes
        )
        back = nib.orientations.inv_ornt_aff(self._turn, scanner.shape)
        self.affine: NDArray[np.float64] = placement.affine @ back

    def __call__(self, values_XYZ: NDArray[Scalar]) -> NDArray[Scalar]:
        turned = nib.orientations.apply_orientation(values_XYZ, self._turn)
        return np.ascontiguousarray(turned)
