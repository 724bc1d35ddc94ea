"""How far the DWI lies from its b0: the shift between the edges of both.

Axis suffixes: X Y Z voxels (RAS+). Fluid is bright in a b0 and dark in a DWI, so it is the size
of the gradient that is compared, not the signal: phase correlation's whitening would drown it in
noise, plain cross-correlation of edges does not. Shifts only; a pure rotation about the brain's
middle is not seen. Nothing is moved or corrected.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

from pirta.imaging.volume import Volume

MARGIN_MM = 20.0
COARSE_MM = 2.0
CAP_PERCENTILE = 98.0


def shift_mm(dwi: Volume, b0: Volume, brain_XYZ: NDArray[np.bool_]) -> float | None:
    """Return the length of the shift that lays the DWI's edges on the b0's.

    None where one of them has no edges.
    """
    box = _box(brain_XYZ, dwi.spacing_mm)
    steps = tuple(max(1, int(COARSE_MM / side)) for side in dwi.spacing_mm)
    if min(-(-(side.stop - side.start) // step) for side, step in zip(box, steps, strict=True)) < 2:
        return None
    first, second = (_edges(one.data_XYZ[box], steps, dwi.spacing_mm) for one in (dwi, b0))
    if not first.any() or not second.any():
        return None
    sides = [fft.next_fast_len(2 * side - 1, real=True) for side in first.shape]
    product = fft.rfftn(first, sides) * np.conj(fft.rfftn(second, sides))
    match = fft.irfftn(product, sides)
    peak = np.unravel_index(int(match.argmax()), match.shape)
    shift_vox = [_refined(match, peak, axis) for axis in range(3)]
    coarse_mm = [side * step for side, step in zip(dwi.spacing_mm, steps, strict=True)]
    return float(np.linalg.norm(np.multiply(shift_vox, coarse_mm)))


def _box(brain_XYZ: NDArray[np.bool_], spacing_mm: tuple[float, float, float]) -> tuple[slice, ...]:
    found = ndimage.find_objects(brain_XYZ.astype(np.uint8))[0]
    margins = [int(MARGIN_MM / side) for side in spacing_mm]
    return tuple(
        slice(max(0, side.start - margin), min(length, side.stop + margin))
        for side, margin, length in zip(found, margins, brain_XYZ.shape, strict=True)
    )


def _edges(
    data_XYZ: NDArray[np.float32],
    steps: tuple[int, ...],
    spacing_mm: tuple[float, float, float],
) -> NDArray[np.float32]:
    """Return the gradient's size, capped (one bright rim must not decide), with mean 0."""
    peak = float(np.abs(data_XYZ).max())
    scaled_XYZ = data_XYZ / np.float32(peak) if peak > 0 else data_XYZ  # squares have to fit
    smooth = ndimage.uniform_filter(scaled_XYZ, steps)[tuple(slice(None, None, s) for s in steps)]
    sides_mm = [side * step for side, step in zip(spacing_mm, steps, strict=True)]
    parts = np.gradient(smooth, *sides_mm)
    size = np.sqrt(sum(part**2 for part in parts))
    size = np.minimum(size, np.percentile(size, CAP_PERCENTILE))
    return np.asarray(size - size.mean(), np.float32)


def _refined(match: NDArray[np.float32], peak: tuple[np.intp, ...], axis: int) -> float:
    """Return the peak's place along an axis to a fraction of a voxel, by a parabola."""
    length = match.shape[axis]

    def value(offset: int) -> float:
        place = list(peak)
        place[axis] = np.intp((int(peak[axis]) + offset) % length)
        return float(match[tuple(place)])

    low, middle, high = value(-1), value(0), value(1)
    bend = low - 2 * middle + high
    fraction = 0.5 * (low - high) / bend if bend < 0 else 0.0
    whole = int(peak[axis])
    return (whole - length if whole > length // 2 else whole) + fraction
