"""Smooth random fields: one generator for anatomy, bias, lesion borders and tissue variation.

Random values on a coarse grid, spread by cubic B-splines, so a field is C2-smooth and costs
three small matrix products. Axis suffixes: X Y Z voxels. It knows nothing of anatomy.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

# Root mean square over positions of the cubic B-spline's weights along one axis: what the
# spreading leaves of unit variance. (2416 / 5040 = 0.4794 is the mean of the squares.)
_KEPT_STD_PER_AXIS = math.sqrt(2416 / 5040)


def smooth_field(
    rng: np.random.Generator,
    shape: tuple[int, int, int],
    *,
    spacing_mm: tuple[float, float, float],
    scale_mm: float,
) -> NDArray[np.float32]:
    """Return a zero-mean, unit-variance random field, shape `(X, Y, Z)`.

    Args:
        scale_mm: distance between the coarse grid's knots; detail below it is absent.
    """
    weights = [
        _spline_weights(size, step / scale_mm) for size, step in zip(shape, spacing_mm, strict=True)
    ]
    knots = rng.standard_normal(tuple(w.shape[1] for w in weights), dtype=np.float32)
    field: NDArray[np.float32] = knots / np.float32(_KEPT_STD_PER_AXIS**3)
    for axis_weights in reversed(weights):
        # Contract the last axis and bring the result to the front: after three turns X Y Z.
        field = np.tensordot(axis_weights, field, axes=(1, field.ndim - 1))
    return field


def _spline_weights(size: int, knots_a_voxel: float) -> NDArray[np.float32]:
    """Return the weight of each knot at each voxel, shape `(size, knots)`."""
    position = np.arange(size) * knots_a_voxel
    first = np.floor(position).astype(int)
    t = position - first
    weights = np.zeros((size, int(first[-1]) + 4), np.float32)
    rows = np.arange(size)
    weights[rows, first] = (1 - t) ** 3 / 6
    weights[rows, first + 1] = (3 * t**3 - 6 * t**2 + 4) / 6
    weights[rows, first + 2] = (-3 * t**3 + 3 * t**2 + 3 * t + 1) / 6
    weights[rows, first + 3] = t**3 / 6
    return weights
