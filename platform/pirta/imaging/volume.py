"""One scalar volume in memory, with the geometry that makes its voxels mean something.

Axis suffixes: X Y Z voxels; after `read_nifti` X grows to the patient's right, Y to the
front, Z to the top (RAS+, as close as the affine allows). The affine maps voxel indices to
world millimetres (RAS+). This module reads and converts nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

CLEAR_RATIO = 1.25
"""A slice step this much longer than the pixel tells the slices' axis."""


@dataclass(frozen=True)
class Volume:
    """A volume and where it lies.

    Attributes:
        data_XYZ: float32.
        affine: float64, 4x4, voxel index to world millimetres.
        provenance: how it was read (`orientation` from sform, qform or assumed; `axes` as
            stored), never names or identifiers.
    """

    data_XYZ: NDArray[np.float32]
    affine: NDArray[np.float64]
    provenance: dict[str, str] = field(default_factory=dict)

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Length of one voxel step along X, Y, Z."""
        x, y, z = np.linalg.norm(self.affine[:3, :3], axis=0)
        return float(x), float(y), float(z)

    @property
    def voxel_ml(self) -> float:
        """Volume of one voxel."""
        return abs(float(np.linalg.det(self.affine[:3, :3]))) / 1000.0


def slice_axis(spacing_mm: tuple[float, float, float]) -> int:
    """Return the axis with clearly the longest step; Z where none is."""
    order = np.argsort(spacing_mm)
    longest, second = spacing_mm[int(order[2])], spacing_mm[int(order[1])]
    return int(order[2]) if longest > CLEAR_RATIO * second else 2
