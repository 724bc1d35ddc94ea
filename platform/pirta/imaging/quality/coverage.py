"""How much of the brain a volume holds: its extents, cut edges, gaps and blank slices.

Axis suffixes: X Y Z voxels (RAS+); P Q in the plane of a slice, S slices. All measures take the
brain's mask at native resolution; nothing is judged here.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pirta.contracts.study import GRID_SHAPE
from pirta.imaging.quality.slices import slices_last
from pirta.imaging.volume import Volume, slice_axis


def extents_mm(brain_XYZ: NDArray[np.bool_], volume: Volume) -> tuple[float, float, float]:
    """Return the brain's width, length and height: slices along each axis that hold any of it."""
    found = [0.0, 0.0, 0.0]
    for axis in range(3):
        held = np.flatnonzero(_areas(brain_XYZ, axis))
        if held.size:
            found[axis] = float(held[-1] - held[0] + 1) * volume.spacing_mm[axis]
    return found[0], found[1], found[2]


def cut_percent(brain_XYZ: NDArray[np.bool_]) -> float:
    """Return the brain's area in the outermost slices, of its largest along that axis, worst.

    A whole brain tapers off before the volume ends; one that is cut ends with a large area.
    """
    worst = 0.0
    for axis in range(3):
        areas = _areas(brain_XYZ, axis)
        if areas.max() > 0:
            worst = max(worst, float(max(areas[0], areas[-1]) / areas.max()))
    return 100 * worst


def gap_percent(brain_XYZ: NDArray[np.bool_], dwi: Volume) -> float:
    """Return how much brain is missing between slices that hold it.

    A brain's area grows and shrinks once along the slices: what an area lacks against the
    smaller of the largest ones on either side is missing. Voxels of exactly 0 do not count as
    brain, since a scanner's reconstruction leaves none.
    """
    areas = _areas(brain_XYZ & (dwi.data_XYZ != 0), slice_axis(dwi.spacing_mm)).astype(float)
    if areas.sum() == 0:
        return 0.0
    before = np.maximum.accumulate(areas)
    after = np.maximum.accumulate(areas[::-1])[::-1]
    whole = np.minimum(before, after)
    return 100 * float((whole - areas).sum() / whole.sum())


def num_blank_slices(dwi: Volume) -> int:
    """Return how many slices between others hold one value only."""
    data_PQS = slices_last(dwi.data_XYZ, slice_axis(dwi.spacing_mm))
    varies = np.ptp(data_PQS, axis=(0, 1)) > 0
    held = np.flatnonzero(varies)
    return int(held[-1] - held[0] + 1 - held.size) if held.size else 0


def off_grid_percent(
    brain_XYZ: NDArray[np.bool_], affine: NDArray[np.float64], grid: NDArray[np.float64]
) -> float:
    """Return how much of the brain lies outside the encoder's grid, by its voxels' middles."""
    to_grid = np.linalg.inv(grid) @ affine
    places = np.argwhere(brain_XYZ) @ to_grid[:3, :3].T + to_grid[:3, 3]
    is_outside = (places < -0.5) | (places > np.array(GRID_SHAPE) - 0.5)
    return 100 * float(is_outside.any(axis=1).mean()) if len(places) else 0.0


def _areas(mask_XYZ: NDArray[np.bool_], axis: int) -> NDArray[np.int64]:
    others = tuple(one for one in range(3) if one != axis)
    return np.asarray(np.count_nonzero(mask_XYZ, axis=others), dtype=np.int64)
