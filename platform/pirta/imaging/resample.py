"""Bring volumes and label maps onto the encoder's grid, in world millimetres.

Axis suffixes: X Y Z voxels; L labels. The target is 96x112x48 voxels of 2x2x4 mm, RAS+,
parallel to the world's axes, its middle on the brain mask's centroid. Everything goes through
the affine, so that flips and permutations of the stored array (with an affine to match)
change nothing but rounding. Where the input is finer than the grid it is smoothed first
(Gaussian of the difference in voxel size), so that thin detail is averaged, not skipped.

Sampling is normalised by the mask's own samples: a voxel at the brain's edge is the mean of
the brain inside it, not a mix with the zeros outside.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from pirta.contracts.study import GRID_SHAPE, GRID_SPACING_MM

MIN_FRACTION = 0.5
"""A grid voxel belongs to a mask or label that fills at least this share of it."""

_FWHM_PER_SIGMA = float(np.sqrt(8 * np.log(2)))


def grid_affine(mask_XYZ: NDArray[np.bool_], affine: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the affine of the encoder's grid around the centroid of a mask.

    The centroid rather than the bounding box: one stray voxel, or an artery that leaves the
    head, moves it by nothing that counts.
    """
    assert mask_XYZ.any(), "the stripper refuses an empty mask"
    centroid_vox = [
        float(np.average(np.arange(side), weights=mask_XYZ.sum(axis=other)))
        for side, other in zip(mask_XYZ.shape, ((1, 2), (0, 2), (0, 1)), strict=True)
    ]
    centre_mm = affine[:3, :3] @ centroid_vox + affine[:3, 3]
    half_mm = (np.array(GRID_SHAPE) - 1) / 2 * np.array(GRID_SPACING_MM)
    target = np.diag([*GRID_SPACING_MM, 1.0])
    target[:3, 3] = centre_mm - half_mm
    return target


def mask_fraction(
    mask_XYZ: NDArray[np.bool_], affine: NDArray[np.float64], target: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Return how much of each grid voxel a mask fills, 0 to 1."""
    return _sample(mask_XYZ.astype(np.float32), affine, target)


def resample_inside(
    data_XYZ: NDArray[np.float32],
    mask_XYZ: NDArray[np.bool_],
    fraction_XYZ: NDArray[np.float32],
    affine: NDArray[np.float64],
    target: NDArray[np.float64],
) -> NDArray[np.float32]:
    """Return the mean of the data inside the mask for each grid voxel, 0 outside.

    Args:
        fraction_XYZ: what `mask_fraction` gave for this mask; below `MIN_FRACTION` is outside.
    """
    sums_XYZ = _sample(np.where(mask_XYZ, data_XYZ, np.float32(0)), affine, target)
    inside_XYZ = fraction_XYZ >= MIN_FRACTION
    out_XYZ = np.zeros_like(sums_XYZ)
    np.divide(sums_XYZ, fraction_XYZ, out=out_XYZ, where=inside_XYZ)
    return out_XYZ


def resample_labels(
    labels_XYZ: NDArray[np.uint8], affine: NDArray[np.float64], target: NDArray[np.float64]
) -> NDArray[np.uint8]:
    """Return the labels on the grid: the strongest label where labels fill half a voxel.

    A connected piece too small to fill half of any grid voxel would vanish (a 3 mm lacune in
    4 mm voxels); it keeps one voxel, the one nearest to its centroid. 0 is background.
    """
    present = [int(label) for label in np.unique(labels_XYZ) if label]
    best_XYZ = np.zeros(GRID_SHAPE, dtype=np.uint8)
    strongest_XYZ = np.zeros(GRID_SHAPE, dtype=np.float32)
    covered_XYZ = np.zeros(GRID_SHAPE, dtype=np.float32)
    for label in present:
        fraction_XYZ = mask_fraction(labels_XYZ == label, affine, target)
        covered_XYZ += fraction_XYZ
        wins_XYZ = fraction_XYZ > strongest_XYZ
        best_XYZ[wins_XYZ] = label
        strongest_XYZ[wins_XYZ] = fraction_XYZ[wins_XYZ]
    best_XYZ[covered_XYZ < MIN_FRACTION] = 0
    to_grid = np.linalg.inv(target) @ affine
    for label in present:
        _keep_small_pieces(best_XYZ, labels_XYZ == label, label, to_grid)
    return best_XYZ


def _keep_small_pieces(
    out_XYZ: NDArray[np.uint8],
    piece_XYZ: NDArray[np.bool_],
    label: int,
    to_grid: NDArray[np.float64],
) -> None:
    """Set one voxel for every connected piece of which nothing arrived on the grid."""
    pieces_XYZ, num_pieces = ndimage.label(piece_XYZ, structure=np.ones((3, 3, 3)))
    for number, box in enumerate(ndimage.find_objects(pieces_XYZ), start=1):
        voxels = np.argwhere(pieces_XYZ[box] == number) + [side.start for side in box]
        places = _to_grid_index(voxels, to_grid)
        if len(places) and np.any(out_XYZ[tuple(places.T)] == label):
            continue
        nearest = _to_grid_index(voxels.mean(axis=0, keepdims=True), to_grid)
        if len(nearest):
            out_XYZ[tuple(nearest[0])] = label
    del num_pieces


def _to_grid_index(
    voxels: NDArray[np.int64] | NDArray[np.float64], to_grid: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Return the grid voxels that hold these points; points off the grid are left out."""
    places = np.rint(voxels @ to_grid[:3, :3].T + to_grid[:3, 3]).astype(np.int64)
    return places[np.all((places >= 0) & (places < np.array(GRID_SHAPE)), axis=1)]


def _sample(
    data_XYZ: NDArray[np.float32], affine: NDArray[np.float64], target: NDArray[np.float64]
) -> NDArray[np.float32]:
    smooth_XYZ = ndimage.gaussian_filter(
        data_XYZ, _sigma_vox(affine), mode="constant", truncate=3.0, output=np.float32
    )
    to_input = np.linalg.inv(affine) @ target
    sampled: NDArray[np.float32] = ndimage.affine_transform(
        smooth_XYZ,
        to_input[:3, :3],
        offset=to_input[:3, 3],
        output_shape=GRID_SHAPE,
        output=np.float32,
        order=1,
        mode="grid-constant",
    )
    return sampled


def _sigma_vox(affine: NDArray[np.float64]) -> list[float]:
    """Return the smoothing along each input axis.

    A grid voxel is taken as the ellipsoid with its sides as axes; what counts for an input
    axis is the ellipsoid's width along that axis, less the width that the input voxel has.
    """
    spacing_mm = np.linalg.norm(affine[:3, :3], axis=0)
    directions = affine[:3, :3] / spacing_mm
    wide_mm = 1 / np.linalg.norm(directions / np.array(GRID_SPACING_MM)[:, None], axis=0)
    fwhm_mm = np.sqrt(np.maximum(0.0, wide_mm**2 - spacing_mm**2))
    return [float(width) for width in fwhm_mm / _FWHM_PER_SIGMA / spacing_mm]
