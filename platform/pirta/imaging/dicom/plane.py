"""The plane of one stored image: position, orientation and spacing, checked to be a plane.

Vectors are in the patient's axes as DICOM has them (LPS: x to the left, y to the back, z to the
head), in millimetres. A header whose row and
column are not two unit vectors at a right angle is refused, never repaired.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from pirta.errors import GeometryError

Triple = tuple[float, float, float]

SPACING_RANGE_MM = (0.1, 20.0)
MAX_POSITION_MM = 10_000.0
RIGHT_ANGLE_TOLERANCE = 1e-3
"""Largest deviation of a cosine's length from 1 and of the cosines' product from 0."""

_REMEDY = "Export the original series from the scanner or the archive."


@dataclass(frozen=True)
class Plane:
    """Where the pixels of one image lie.

    Attributes:
        position_mm: centre of the first stored pixel.
        along_row: unit vector from one column to the next.
        along_column: unit vector from one row to the next.
        row_step_mm, column_step_mm: distance of neighbouring rows, of neighbouring columns.
        thickness_mm: nominal.
        between_mm: from slice to slice, where the header tells; positions say it better.
    """

    position_mm: Triple
    along_row: Triple
    along_column: Triple
    row_step_mm: float
    column_step_mm: float
    thickness_mm: float | None
    between_mm: float | None

    @property
    def normal(self) -> NDArray[np.float64]:
        """Unit vector across the plane, right-handed with row and column."""
        return np.asarray(np.cross(self.along_row, self.along_column), dtype=np.float64)

    def moved(self, step_mm: NDArray[np.float64]) -> Plane:
        """Return the plane shifted by a vector."""
        x, y, z = (float(a + b) for a, b in zip(self.position_mm, step_mm, strict=True))
        return replace(self, position_mm=(x, y, z))


def plane_of(
    position: Dataset | None, orientation: Dataset | None, measures: Dataset | None, *, role: str
) -> Plane:
    """Return the plane of an image whose three groups of attributes are given.

    For a classic image all three are the dataset itself.

    Raises:
        GeometryError: an attribute is missing or cannot be true.
    """
    start = _numbers(position, "ImagePositionPatient", 3, role)
    cosines = _numbers(orientation, "ImageOrientationPatient", 6, role)
    spacing = _numbers(measures, "PixelSpacing", 2, role)
    row, column = np.array(cosines[:3]), np.array(cosines[3:])
    lengths = np.linalg.norm(row), np.linalg.norm(column)
    skew = abs(float(row @ column))
    if max(abs(float(length) - 1) for length in lengths) > RIGHT_ANGLE_TOLERANCE or (
        skew > RIGHT_ANGLE_TOLERANCE
    ):
        raise GeometryError(
            f"{role} has row and column vectors of length {lengths[0]:.3f} and {lengths[1]:.3f} "
            f"whose product is {skew:.3f}; 1, 1 and 0 are needed.",
            remedy=_REMEDY,
        )
    low, high = SPACING_RANGE_MM
    if not all(low <= side <= high for side in spacing):
        raise GeometryError(
            f"{role} has a pixel spacing of {spacing[0]:g} x {spacing[1]:g} mm; {low} to {high} mm "
            "is possible.",
            remedy=_REMEDY,
        )
    if max(map(abs, start)) > MAX_POSITION_MM:
        raise GeometryError(
            f"{role} lies more than {MAX_POSITION_MM / 1000:.0f} m off the scanner's centre.",
            remedy=_REMEDY,
        )
    return Plane(
        position_mm=(start[0], start[1], start[2]),
        along_row=(cosines[0], cosines[1], cosines[2]),
        along_column=(cosines[3], cosines[4], cosines[5]),
        row_step_mm=spacing[0],
        column_step_mm=spacing[1],
        thickness_mm=_length(measures, "SliceThickness"),
        between_mm=_length(measures, "SpacingBetweenSlices"),
    )


def _numbers(holder: Dataset | None, name: str, count: int, role: str) -> list[float]:
    found = None if holder is None else holder.get(name)
    values = [float(value) for value in found] if isinstance(found, Iterable) else []
    if len(values) != count or not all(map(math.isfinite, values)):
        raise GeometryError(
            f"{role} has no usable {name}: {len(values)} of {count} numbers.", remedy=_REMEDY
        )
    return values


def _length(holder: Dataset | None, name: str) -> float | None:
    found = None if holder is None else holder.get(name)
    value = abs(float(str(found))) if found not in (None, "") else 0.0
    return value if 0 < value < math.inf else None
