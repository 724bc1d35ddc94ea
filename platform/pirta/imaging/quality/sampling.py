"""How densely a volume samples the head: step from slice to slice, gap, and pixel side.

Nothing is judged here.
"""

from __future__ import annotations

from pirta.imaging.volume import Volume, slice_axis


def step_mm(volume: Volume) -> float:
    """Return the distance between neighbouring slices' middles."""
    return volume.spacing_mm[slice_axis(volume.spacing_mm)]


def in_plane_mm(volume: Volume) -> float:
    """Return the longer side of a pixel."""
    axis = slice_axis(volume.spacing_mm)
    return max(side for place, side in enumerate(volume.spacing_mm) if place != axis)


def gap_between_percent(volume: Volume, thickness_mm: float) -> float:
    """Return the gap between slices, of their thickness; 0 where they overlap."""
    return 100 * max(0.0, step_mm(volume) / thickness_mm - 1)
