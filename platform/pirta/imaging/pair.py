"""Do a DWI and an ADC volume belong together? Same grid, not the same file, not swapped.

Axis suffixes: X Y Z voxels (RAS+). Registration is not done here: the pair comes from one
acquisition and shares its grid, or it is refused.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pirta.errors import ChannelMismatchError
from pirta.imaging.volume import Volume

GRID_TOLERANCE_MM = 0.5
"""Largest corner shift between two grids that still count as the same."""

CLEAR_LEAN = 0.15
"""Measured on two real pairs: DWI -0.5 and -0.4, ADC +0.4 and +0.6."""


def check_pair(dwi: Volume, adc: Volume) -> None:
    """Refuse a pair of other grids or of identical content.

    Raises:
        ChannelMismatchError: other shape, a corner shifted by more than half a millimetre, or
            the same data (up to a constant factor) twice.
    """
    check_same_grid(dwi, adc, "DWI", "ADC")
    if _is_same_data(dwi.data_XYZ, adc.data_XYZ):
        raise ChannelMismatchError(
            "DWI and ADC hold the same data.",
            remedy="One file was given twice: name the DWI and the ADC map.",
        )


def check_same_grid(first: Volume, second: Volume, first_role: str, second_role: str) -> None:
    """Refuse two volumes whose voxels do not lie on top of each other.

    Raises:
        ChannelMismatchError: other shape, or a corner shifted by more than half a millimetre.
    """
    remedy = f"Send {first_role} and {second_role} of one acquisition, on one grid."
    if first.data_XYZ.shape != second.data_XYZ.shape:
        shapes = ["x".join(map(str, one.data_XYZ.shape)) for one in (first, second)]
        raise ChannelMismatchError(
            f"{first_role} has {shapes[0]} voxels, {second_role} has {shapes[1]}.", remedy=remedy
        )
    shift_mm = _corner_shift_mm(first, second)
    if shift_mm > GRID_TOLERANCE_MM:
        raise ChannelMismatchError(
            f"{first_role} and {second_role} lie {shift_mm:.1f} mm apart in space.", remedy=remedy
        )


def check_not_swapped(dwi: Volume, adc: Volume, mask_XYZ: NDArray[np.bool_]) -> None:
    """Refuse a pair that was handed over the wrong way round, where that is certain.

    CSF is dark in a DWI and bright in an ADC map: inside the brain the DWI's histogram leans
    to the left, the ADC's to the right. Only when both lean the wrong way, clearly, is the
    pair refused: a huge infarct alone turns the DWI's lean round, never the ADC's too.

    Raises:
        ChannelMismatchError: the DWI looks like an ADC map and the ADC map like a DWI.
    """
    dwi_lean, adc_lean = (_lean(volume.data_XYZ[mask_XYZ]) for volume in (dwi, adc))
    if dwi_lean > CLEAR_LEAN and adc_lean < -CLEAR_LEAN:
        raise ChannelMismatchError(
            "DWI and ADC look swapped: fluid is bright in the DWI and dark in the ADC map.",
            remedy="Hand over the two files the other way round.",
        )


def _lean(inside: NDArray[np.float32]) -> float:
    """Return log(p90/p50) - log(p50/p10) of the positive values: above 0 leans right."""
    positive = inside[inside > 0]
    if positive.size == 0:
        return 0.0
    low, middle, high = np.log(np.percentile(positive, [10, 50, 90]).astype(np.float64))
    return float(high - 2 * middle + low)


def _corner_shift_mm(first: Volume, second: Volume) -> float:
    far = np.array(first.data_XYZ.shape) - 1
    corners = np.array(
        [[x, y, z, 1] for x in (0, far[0]) for y in (0, far[1]) for z in (0, far[2])]
    )
    moved = corners @ (first.affine - second.affine).T
    return float(np.linalg.norm(moved[:, :3], axis=1).max())


def _is_same_data(first_XYZ: NDArray[np.float32], second_XYZ: NDArray[np.float32]) -> bool:
    """Compare up to a constant factor, so that a rescaled copy is found too."""
    first, second = first_XYZ.ravel(), second_XYZ.ravel()
    peak = int(np.argmax(np.abs(first)))
    if second[peak] == 0 or first[peak] == 0:
        return False
    with np.errstate(over="ignore", invalid="ignore"):  # what overflows is not the same
        scaled = second * (float(first[peak]) / float(second[peak]))
    return bool(np.allclose(first, scaled, rtol=1e-4, atol=1e-6 * abs(float(first[peak]))))
