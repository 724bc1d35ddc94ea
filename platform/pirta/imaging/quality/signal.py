"""Slices that went wrong: clipped at a maximum, or dark against their neighbours.

Axis suffixes: P Q in the plane of a slice, S slices. Slices that hold little of the brain are
left out: a few voxels' median jumps by itself. Nothing is judged here.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pirta.imaging.quality.slices import slices_last
from pirta.imaging.volume import Volume, slice_axis

MIN_AREA_SHARE = 0.25
NEIGHBOURS = 2


def clipped_percent(dwi: Volume, brain_XYZ: NDArray[np.bool_]) -> float:
    """Return the worst slice's share of brain at the exact maximum of the brain.

    One voxel always is the maximum, and does not count. A trace averaged from clipped images
    no longer shows one value; that clipping is not seen here.
    """
    data_PQS, brain_PQS, judged = _judged_slices(dwi, brain_XYZ)
    if not judged.size:
        return 0.0
    peak = data_PQS[brain_PQS].max()
    at_peak = np.count_nonzero(brain_PQS & (data_PQS == peak), axis=(0, 1))[judged]
    areas = np.count_nonzero(brain_PQS, axis=(0, 1))[judged]
    return 100 * float((np.maximum(0, at_peak - 1) / areas).max())


def darkest_percent(dwi: Volume, brain_XYZ: NDArray[np.bool_]) -> float | None:
    """Return the darkest slice's median signal, of the median of two slices on either side.

    None where fewer than three slices can be compared.
    """
    data_PQS, brain_PQS, judged = _judged_slices(dwi, brain_XYZ)
    if judged.size < 3:
        return None
    medians = np.array([np.median(data_PQS[:, :, s][brain_PQS[:, :, s]]) for s in judged])
    worst = 1.0
    for place, own in enumerate(medians):
        beside = np.abs(np.arange(judged.size) - place)
        reference = float(np.median(medians[(beside > 0) & (beside <= NEIGHBOURS)]))
        if reference > 0:
            worst = min(worst, float(own) / reference)
    return 100 * worst


def _judged_slices(
    dwi: Volume, brain_XYZ: NDArray[np.bool_]
) -> tuple[NDArray[np.float32], NDArray[np.bool_], NDArray[np.int64]]:
    axis = slice_axis(dwi.spacing_mm)
    data_PQS, brain_PQS = slices_last(dwi.data_XYZ, axis), slices_last(brain_XYZ, axis)
    areas = np.count_nonzero(brain_PQS, axis=(0, 1))
    return data_PQS, brain_PQS, np.flatnonzero(areas > MIN_AREA_SHARE * areas.max())
