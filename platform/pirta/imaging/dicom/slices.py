"""One 2D slice of an MR image: where it lies, what it is, and how to get its pixels.

Axis suffixes: R rows, C columns. Positions, cosines and normals are in the patient's axes as
DICOM has them (LPS: x to the left, y to the back, z to the head), in millimetres; the turn to
RAS+ is made in `stack`. No file is read here; see `classic`, `enhanced` and `mosaic`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pirta.imaging.dicom.b_values import Direction
from pirta.imaging.dicom.kinds import Kind

Triple = tuple[float, float, float]


@dataclass(frozen=True)
class Slice:
    """One slice.

    Attributes:
        position_mm: centre of the first stored pixel.
        along_row: unit vector from one column to the next.
        along_column: unit vector from one row to the next.
        row_step_mm, column_step_mm: distance of neighbouring rows, of neighbouring columns.
        shape: rows, columns.
        kind: what the image is.
        b_value_s_mm2: as the header has it; None where it has none.
        direction: of the gradient, in the patient's axes.
        series, frame_of_reference: identifiers, to group by and never to show.
        order: temporal position, acquisition, instance: sorts repeated images of a place.
        time: of the acquisition, "YYYYMMDDHHMMSS.ffffff" or the part of it that is known.
        is_corrected: whether the scanner says it corrected distortion.
        num_expected: slices a volume should have, where the header tells.
        thickness_mm: nominal.
        adc_unit: of the rescaled values, where the header tells.
        gain: of the display values over the signal, where Philips tells (see `rescale`).
        read: returns the rescaled pixels, shape `(rows, columns)`.
    """

    position_mm: Triple
    along_row: Triple
    along_column: Triple
    row_step_mm: float
    column_step_mm: float
    shape: tuple[int, int]
    kind: Kind
    b_value_s_mm2: float | None
    direction: Direction | None
    series: str
    frame_of_reference: str
    order: Triple
    time: str
    is_corrected: bool
    num_expected: int | None
    thickness_mm: float | None
    adc_unit: str | None
    gain: float | None
    read: Callable[[], NDArray[np.float32]]

    @property
    def normal(self) -> NDArray[np.float64]:
        """Unit vector across the slice, right-handed with row and column."""
        return np.asarray(np.cross(self.along_row, self.along_column), dtype=np.float64)
