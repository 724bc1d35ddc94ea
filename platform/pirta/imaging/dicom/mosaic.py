"""Siemens mosaic: all slices of a volume as tiles of one image, row by row from the top left.

Axis suffixes: R rows, C columns of a tile or of the whole mosaic. The header's position is that
of a plane as large as the mosaic with the first slice in its middle; the way from slice to slice
is only in the CSA header. A mosaic without it is refused rather than stacked upside down.

Source: nibabel's notes "Siemens mosaic format"; dcm2niix does the same correction.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from pirta.errors import SeriesError
from pirta.imaging.dicom.pixels import decode_frame
from pirta.imaging.dicom.plane import Plane
from pirta.imaging.dicom.private import SIEMENS, csa_numbers, numbers_of, private_value

MAX_SLICES = 512
MIN_COSINE = 0.99
"""Between the CSA header's slice normal and the one across row and column."""

_REMEDY = "Export the series with its private elements, or as Enhanced MR or one file a slice."


@dataclass(frozen=True)
class Mosaic:
    """A mosaic's tiles.

    Attributes:
        first: the plane of the first slice.
        step_mm: from a slice to the next.
        shape: rows, columns of a tile.
    """

    first: Plane
    step_mm: NDArray[np.float64]
    shape: tuple[int, int]
    num_slices: int
    dataset: Dataset
    role: str

    def plane(self, number: int) -> Plane:
        """Return the plane of slice `number`, from 0."""
        return self.first.moved(self.step_mm * number)

    def tile(self, number: int) -> NDArray[np.float32]:
        """Return the stored pixels of slice `number`; the mosaic is decoded once."""
        rows, columns = self.shape
        side = self._whole_RC.shape[1] // columns
        top, left = (number // side) * rows, (number % side) * columns
        return self._whole_RC[top : top + rows, left : left + columns]

    @cached_property
    def _whole_RC(self) -> NDArray[np.float32]:
        return decode_frame(self.dataset, 0, role=self.role)


def mosaic_of(dataset: Dataset, csa: Mapping[str, Any], plane: Plane, *, role: str) -> Mosaic:
    """Return the mosaic in an image whose ImageType says MOSAIC.

    Args:
        csa: the tags of its CSA image header.
        plane: as its public attributes have it.

    Raises:
        SeriesError: the number of slices, their direction or distance is not told, or does not fit.
    """
    counts = csa_numbers(csa, "NumberOfImagesInMosaic") or numbers_of(
        private_value(dataset, 0x0019, SIEMENS, 0x0A), "H"
    )
    num_slices = int(counts[0]) if counts else 0
    if not 1 < num_slices <= MAX_SLICES:
        raise SeriesError(
            f"{role} is a Siemens mosaic whose header tells of {num_slices} slices.",
            remedy=_REMEDY,
        )
    side = math.ceil(math.sqrt(num_slices))
    rows, columns = int(dataset.Rows), int(dataset.Columns)
    if rows % side or columns % side:
        raise SeriesError(
            f"{role} is a Siemens mosaic of {num_slices} slices, but its {rows}x{columns} pixels "
            f"do not part into {side}x{side} tiles.",
            remedy=_REMEDY,
        )
    told = csa_numbers(csa, "SpacingBetweenSlices")
    between_mm = plane.between_mm or (abs(told[0]) if told else 0.0)
    if not between_mm:  # the thickness is no substitute: there may be a gap
        raise SeriesError(
            f"{role} is a Siemens mosaic whose header does not tell how far its slices lie apart.",
            remedy=_REMEDY,
        )
    shape = rows // side, columns // side
    return Mosaic(
        first=plane.moved(_to_first_tile(plane, (rows, columns), shape)),
        step_mm=_normal(csa, plane, role=role) * between_mm,
        shape=shape,
        num_slices=num_slices,
        dataset=dataset,
        role=role,
    )


def _to_first_tile(
    plane: Plane, whole: tuple[int, int], tile: tuple[int, int]
) -> NDArray[np.float64]:
    down_mm = (whole[0] - tile[0]) / 2 * plane.row_step_mm
    right_mm = (whole[1] - tile[1]) / 2 * plane.column_step_mm
    return np.array(plane.along_column) * down_mm + np.array(plane.along_row) * right_mm


def _normal(csa: Mapping[str, Any], plane: Plane, *, role: str) -> NDArray[np.float64]:
    told = csa_numbers(csa, "SliceNormalVector")
    across = plane.normal
    cosine = float(np.dot(told, across)) if len(told) == 3 else 0.0
    if abs(cosine) < MIN_COSINE:
        raise SeriesError(
            f"{role} is a Siemens mosaic whose header does not tell which way its slices go.",
            remedy=_REMEDY,
        )
    return across if cosine > 0 else -across
