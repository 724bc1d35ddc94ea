"""Move a prepared volume as heads lie differently: mirrored, zoomed, shifted, nodding.

One pass: X is a dense 96 by 96 product, Y and Z together a sparse one (bilinear), so that a
rotation about X costs no more than a zoom. MONAI's affine transform of the same kind takes some
three times as long on one thread (`python -m bench augmentation`).

Axis suffixes: C channels, X Y Z voxels (RAS+, 2x2x4 mm), J pixels of the Y-Z plane in Y-Z order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from pirta.contracts.study import GRID_SPACING_MM

Volume = NDArray[np.float32]
Labels = NDArray[np.uint8]


@dataclass(frozen=True)
class Pose:
    """Where a head comes to lie.

    Attributes:
        mirrored: left and right change places; label maps move along; a finding
            that names a side is turned by the caller (`data.mirrored`).
        zoom_3: size along X, Y, Z, relative.
        shift_mm_3: along X, Y, Z.
        pitch_deg: nod about the X axis.
    """

    mirrored: bool
    zoom_3: tuple[float, float, float]
    shift_mm_3: tuple[float, float, float]
    pitch_deg: float


def draw_pose(rng: np.random.Generator, *, zoom: float, shift_mm: float, pitch_deg: float) -> Pose:
    """Draw a pose; ranges are symmetric around no change."""
    zooms, shifts = rng.uniform(-zoom, zoom, 3), rng.uniform(-shift_mm, shift_mm, 3)
    return Pose(
        mirrored=bool(rng.random() < 0.5),
        zoom_3=(1 + float(zooms[0]), 1 + float(zooms[1]), 1 + float(zooms[2])),
        shift_mm_3=(float(shifts[0]), float(shifts[1]), float(shifts[2])),
        pitch_deg=float(rng.uniform(-pitch_deg, pitch_deg)),
    )


def move(
    pose: Pose, volume_CXYZ: NDArray[np.floating], labels: Sequence[Labels]
) -> tuple[Volume, list[Labels]]:
    """Return the moved volume (linear, float32) and label maps (nearest).

    What comes from outside is 0, and so is what lies outside the moved brain.
    """
    channels, *sides = volume_CXYZ.shape
    brain_XYZ = volume_CXYZ[0] > 0
    moved = np.zeros((channels, sides[0], sides[1] * sides[2]), np.float32)
    if not brain_XYZ.any():
        return moved.reshape(channels, *sides), [np.zeros_like(one) for one in labels]
    from_X, from_2J = _sources_X(pose, sides[0]), _sources_YZ(pose, (sides[1], sides[2]))
    # Most of the grid is background: only rows and columns that hold brain are looked at.
    rows = np.flatnonzero(brain_XYZ.any(axis=(1, 2)))
    rows = np.arange(rows[0], rows[-1] + 1)
    columns = np.flatnonzero(brain_XYZ.any(axis=0).ravel())
    plane, targets = _plane_weights(from_2J, (sides[1], sides[2]), columns)
    flat_CXJ = np.concatenate([volume_CXYZ[:, rows], brain_XYZ[None, rows]], dtype=np.float32)
    flat_CXJ = flat_CXJ.reshape(channels + 1, len(rows), -1)[:, :, columns]
    drawn_CXJ = _line_weights(from_X)[:, rows] @ flat_CXJ
    drawn_JR = plane @ np.ascontiguousarray(drawn_CXJ.reshape(-1, len(columns)).T)
    drawn_CXJ = drawn_JR.T.reshape(channels + 1, sides[0], -1)
    inside_XJ = drawn_CXJ[-1] > 0.5
    # Dividing by the brain's share keeps the rim from fading into the background.
    moved[:, :, targets] = drawn_CXJ[:-1] * (inside_XJ / np.maximum(drawn_CXJ[-1], 0.5))
    inside_XYZ = (moved[0] > 0).reshape(sides)
    picked = [_pick(one, from_X, from_2J) * inside_XYZ for one in labels]
    return moved.reshape(channels, *sides), picked


def _sources_X(pose: Pose, side: int) -> NDArray[np.float64]:
    """Where along X each voxel's value comes from, in voxels."""
    centre = (side - 1) / 2
    away = (np.arange(side) - centre) / pose.zoom_3[0] + pose.shift_mm_3[0] / GRID_SPACING_MM[0]
    return np.asarray(centre + (-away if pose.mirrored else away), np.float64)


def _sources_YZ(pose: Pose, sides: tuple[int, int]) -> NDArray[np.float64]:
    """Where in the Y-Z plane each pixel's value comes from, in voxels, shape `(2, J)`."""
    spacing = np.asarray(GRID_SPACING_MM[1:])[:, None]
    centre = (np.asarray(sides, float)[:, None] - 1) / 2
    away_mm = (np.indices(sides).reshape(2, -1) - centre) * spacing
    angle = np.deg2rad(pose.pitch_deg)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    from_mm = (turn @ away_mm) / np.asarray(pose.zoom_3[1:])[:, None]
    from_mm += np.asarray(pose.shift_mm_3[1:])[:, None]
    return np.asarray(from_mm / spacing + centre)


def _line_weights(source: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return linear interpolation along one axis as a matrix, rows the targets."""
    side = len(source)
    low = np.floor(source).astype(int)
    weights = np.zeros((side, side), np.float32)
    for at, weight in ((low, 1 - (source - low)), (low + 1, source - low)):
        rows = np.flatnonzero((at >= 0) & (at < side))
        weights[rows, at[rows]] += weight[rows].astype(np.float32)
    return weights


def _plane_weights(
    source_2J: NDArray[np.float64], sides: tuple[int, int], columns: NDArray[np.int_]
) -> tuple[sparse.csr_array, NDArray[np.int_]]:
    """Return bilinear interpolation in the Y-Z plane as a sparse matrix, and its rows' pixels.

    Args:
        columns: the pixels there are; all others are 0.
    """
    low_2J = np.floor(source_2J).astype(int)
    part_2J = source_2J - low_2J
    number = np.full(sides[0] * sides[1], -1)
    number[columns] = np.arange(len(columns))
    rows, picks, weights = [], [], []
    for dy in (0, 1):
        for dz in (0, 1):
            y, z = low_2J[0] + dy, low_2J[1] + dz
            weight = (part_2J[0] if dy else 1 - part_2J[0]) * (part_2J[1] if dz else 1 - part_2J[1])
            within = np.flatnonzero((y >= 0) & (y < sides[0]) & (z >= 0) & (z < sides[1]))
            pick = number[(y * sides[1] + z)[within]]
            known = (pick >= 0) & (weight[within] > 0)
            rows.append(within[known])
            picks.append(pick[known])
            weights.append(weight[within][known].astype(np.float32))
    targets, compact = np.unique(np.concatenate(rows), return_inverse=True)
    entries = (np.concatenate(weights), (compact, np.concatenate(picks)))
    matrix = sparse.coo_array(entries, shape=(len(targets), len(columns)))
    return matrix.tocsr(), targets


def _pick(labels_XYZ: Labels, from_X: NDArray[np.float64], from_2J: NDArray[np.float64]) -> Labels:
    sides = labels_XYZ.shape
    x, yz = np.rint(from_X).astype(int), np.rint(from_2J).astype(int)
    inside_J = (yz[0] >= 0) & (yz[0] < sides[1]) & (yz[1] >= 0) & (yz[1] < sides[2])
    inside_X = (x >= 0) & (x < sides[0])
    columns = np.where(inside_J, yz[0] * sides[2] + yz[1], 0)
    picked = labels_XYZ.reshape(sides[0], -1)[np.ix_(np.where(inside_X, x, 0), columns)]
    return np.asarray(picked * (inside_X[:, None] & inside_J)).reshape(sides).astype(np.uint8)
