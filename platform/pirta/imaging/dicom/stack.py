"""A volume out of slices, proven complete before a pixel is decoded.

Axis suffixes: R rows, C columns, K slices as stored; X Y Z voxels (RAS+). A stack's slices have
one orientation, one shape and one spacing, lie in one line along their normal, and follow each
other evenly: nothing missing, nothing twice. Which slices belong together is said in `series`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pirta.errors import GeometryError, SeriesError
from pirta.imaging.dicom.slices import Slice
from pirta.imaging.volume import Volume
from pirta.imaging.volume_checks import MAX_VOXELS, MIN_SIDE_VOX, to_ras

SAME_PLACE_MM = 0.05
"""Slices nearer than this to each other, along the normal, lie at one place."""

SPACING_TOLERANCE = 0.05
"""Share of the slice distance by which one distance may differ from the median of all."""

MAX_NOMINAL_STEPS = 1.9
"""Distance between slices over the one their header tells, from which slices are missing."""

COSINE_TOLERANCE = 1e-3
MIN_STRAY_MM = 0.1

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])

_SEND_ALL = "Send every slice of the series; export it again from the scanner or the archive."


@dataclass(frozen=True)
class Stack:
    """The slices of one volume, from the lowest along the normal to the highest."""

    slices: tuple[Slice, ...]

    @property
    def first(self) -> Slice:
        """The lowest slice."""
        return self.slices[0]

    @property
    def b_value_s_mm2(self) -> float | None:
        """The volume's b value, as its slices have it."""
        return self.first.b_value_s_mm2

    @property
    def time(self) -> str:
        """When the last of the slices was acquired."""
        return max(one.time for one in self.slices)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Columns, rows, slices."""
        rows, columns = self.first.shape
        return columns, rows, len(self.slices)

    @property
    def affine(self) -> NDArray[np.float64]:
        """From (column, row, slice) to world millimetres, RAS+ (PS3.3 equation C.7.6.2.1-1)."""
        start, end = (np.array(self.slices[k].plane.position_mm) for k in (0, -1))
        lps = np.eye(4)
        lps[:3, 0] = np.array(self.first.plane.along_row) * self.first.plane.column_step_mm
        lps[:3, 1] = np.array(self.first.plane.along_column) * self.first.plane.row_step_mm
        lps[:3, 2] = (end - start) / (len(self.slices) - 1)
        lps[:3, 3] = start
        affine: NDArray[np.float64] = LPS_TO_RAS @ lps
        return affine

    def read(self) -> Volume:
        """Decode the slices and return the volume, RAS+ as close as the affine allows.

        Raises:
            FileUnreadableError: a slice cannot be decoded.
        """
        stored_RCK = np.stack([one.read() for one in self.slices], axis=-1)
        return to_ras(stored_RCK.transpose(1, 0, 2), self.affine, orientation="dicom")


def heights_mm(slices: Sequence[Slice]) -> NDArray[np.float64]:
    """Return each slice's place along the normal of the first."""
    positions = np.array([one.plane.position_mm for one in slices])
    heights: NDArray[np.float64] = positions @ slices[0].plane.normal
    return heights


def find_places(slices: Sequence[Slice], *, name: str) -> NDArray[np.float64]:
    """Return the places along the normal at which slices lie, from low to high, in mm.

    Args:
        name: what the slices are called in messages, "The ADC series".

    Raises:
        SeriesError: several orientations, shapes or spacings, uneven distances, or a gap.
        GeometryError: too few slices or too many voxels.
    """
    _check_alike(slices, name=name)
    heights = np.sort(heights_mm(slices))
    starts = np.flatnonzero(np.diff(heights, prepend=-np.inf) > SAME_PLACE_MM)
    places: NDArray[np.float64] = heights[starts]
    rows, columns = slices[0].shape
    if min(rows, columns, places.size) < MIN_SIDE_VOX:
        raise GeometryError(
            f"{name} has {places.size} slices of {rows}x{columns} pixels; every side needs "
            f"{MIN_SIDE_VOX} or more.",
            remedy=_SEND_ALL,
        )
    if rows * columns * places.size > MAX_VOXELS:
        raise GeometryError(
            f"{name} has {places.size} slices of {rows}x{columns} pixels, above the limit of "
            f"{MAX_VOXELS} voxels.",
            remedy="Send the volume as the scanner made it; whole heads are far smaller.",
        )
    _check_even(places, name=name)
    step_mm = float(np.median(np.diff(places)))
    _check_in_line(slices, step_mm, name=name)
    _check_against_header(slices[0], step_mm, name=name)
    return places


def say_missing(numbers: Sequence[int], places: NDArray[np.float64]) -> str:
    """Return which places are missing: "slice 5 of 20 (at 12.0 mm along the normal)"."""
    shown = ", ".join(f"{number + 1}" for number in numbers[:5])
    more = f" and {len(numbers) - 5} more" if len(numbers) > 5 else ""
    at = ", ".join(f"{places[number]:.1f}" for number in numbers[:5])
    word = "slice" if len(numbers) == 1 else "slices"
    return f"{word} {shown}{more} of {len(places)} (at {at} mm along the normal)"


def _check_alike(slices: Sequence[Slice], *, name: str) -> None:
    shapes = {one.shape for one in slices}
    spacings = {
        (round(one.plane.row_step_mm, 3), round(one.plane.column_step_mm, 3)) for one in slices
    }
    first = np.array([*slices[0].plane.along_row, *slices[0].plane.along_column])
    cosines = np.array([[*one.plane.along_row, *one.plane.along_column] for one in slices])
    num_turned = int(np.sum(np.abs(cosines - first).max(axis=1) > COSINE_TOLERANCE))
    problems = []
    if len(shapes) > 1:
        problems.append("of " + " and ".join(f"{r}x{c}" for r, c in sorted(shapes)[:3]) + " pixels")
    if len(spacings) > 1:
        problems.append(f"of {len(spacings)} pixel spacings")
    if num_turned:
        problems.append(f"in several orientations ({num_turned} turned against the first)")
    if problems:
        raise SeriesError(
            f"{name} mixes slices {', '.join(problems)} among its {len(slices)}.",
            remedy="Send the diffusion series alone, as the scanner made it.",
        )


def _check_even(places: NDArray[np.float64], *, name: str) -> None:
    distances = np.diff(places)
    step = float(np.median(distances))
    if np.all(np.abs(distances - step) <= SPACING_TOLERANCE * step):
        return
    whole = np.rint((places - places[0]) / step).astype(int)
    on_grid = np.abs(places - places[0] - whole * step) <= SPACING_TOLERANCE * step * (whole + 1)
    missing = sorted(set(range(int(whole[-1]) + 1)) - set(whole.tolist()))
    if missing and np.all(on_grid) and len(set(whole.tolist())) == whole.size:
        full = places[0] + step * np.arange(int(whole[-1]) + 1)
        raise SeriesError(f"{name} lacks {say_missing(missing, full)}.", remedy=_SEND_ALL)
    worst = int(np.argmax(np.abs(distances - step)))
    raise SeriesError(
        f"{name} has uneven slices: {distances[worst]:.2f} mm from slice {worst + 1} to "
        f"{worst + 2} of {places.size}, {step:.2f} mm elsewhere "
        f"({SPACING_TOLERANCE:.0%} may differ).",
        remedy=_SEND_ALL,
    )


def _check_against_header(first: Slice, step_mm: float, *, name: str) -> None:
    """Refuse slices that lie evenly but too far apart: every second one may be missing.

    Some scanners write the gap where the distance belongs; the thickness is held against that.
    """
    told_mm = first.plane.between_mm
    if told_mm is None:
        return
    nominal_mm = max(told_mm, first.plane.thickness_mm or 0.0)
    if step_mm >= MAX_NOMINAL_STEPS * nominal_mm:
        raise SeriesError(
            f"{name} has its slices {step_mm:.2f} mm apart, its header says {nominal_mm:.2f} mm: "
            f"about {1 - nominal_mm / step_mm:.0%} of them are missing.",
            remedy=_SEND_ALL,
        )


def _check_in_line(slices: Sequence[Slice], step_mm: float, *, name: str) -> None:
    positions = np.array([one.plane.position_mm for one in slices])
    offsets = positions - positions[0]
    normal = slices[0].plane.normal
    stray_mm = float(np.linalg.norm(offsets - np.outer(offsets @ normal, normal), axis=1).max())
    if stray_mm > max(MIN_STRAY_MM, SPACING_TOLERANCE * step_mm):
        raise SeriesError(
            f"{name} has slices shifted by {stray_mm:.1f} mm against each other, across the "
            "normal.",
            remedy="Send the diffusion series alone, as the scanner made it.",
        )
