"""Arrays turned so that the slices of an acquisition come last.

Axis suffixes: X Y Z voxels (RAS+); P Q in the plane of a slice, S slices. Nothing is measured.
"""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Kind = TypeVar("Kind", bound=np.generic)


def slices_last(data_XYZ: NDArray[Kind], axis: int) -> NDArray[Kind]:
    """Return a view with the slices' axis last."""
    return np.moveaxis(data_XYZ, axis, -1)
