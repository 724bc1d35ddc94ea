"""Which axis a volume was acquired along, and arrays turned so that its slices come last.

Axis suffixes: X Y Z voxels (RAS+); P Q in the plane of a slice, S slices. Nothing is measured.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

CLEAR_RATIO = 1.25
"""A slice step this much longer than the pixel tells the slices' axis."""

Kind = TypeVar("Kind", bound=np.generic)


def slice_axis(spacing_mm: tuple[float, float, float]) -> int:
    """Return the axis with clearly the longest step; Z where none is."""
    order = np.argsort(spacing_mm)
    longest, second = spacing_mm[int(order[2])], spacing_mm[int(order[1])]
    return int(order[2]) if longest > CLEAR_RATIO * second else 2


def slices_last(data_XYZ: NDArray[Kind], axis: int) -> NDArray[Kind]:
    """Return a view with the slices' axis last."""
    return np.moveaxis(data_XYZ, axis, -1)
