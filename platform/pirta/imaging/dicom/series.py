"""The volumes of one series: which slices belong together, and that none of them is missing.

A volume's slices share b value and gradient direction. Where places hold several such slices
(repeated averages, b0 volumes without a distinction), the n-th of each place, in the order of
acquisition, make the n-th volume. Every volume must have every place that any volume of the
series has, and as many places as the header counts. Nothing is decoded here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pirta.errors import GeometryError, SeriesError
from pirta.imaging.dicom.b_values import Direction
from pirta.imaging.dicom.kinds import Kind
from pirta.imaging.dicom.slices import Slice
from pirta.imaging.dicom.stack import Stack, find_places, heights_mm, say_missing
from pirta.imaging.diffusion_fit import NEAR_B0_S_MM2

_NAMES = {"trace": "The trace series", "adc": "The ADC series", "raw": "The diffusion series"}
_SEND_ALL = "Send every slice of the series; export it again from the scanner or the archive."


@dataclass(frozen=True)
class Run:
    """What one series holds of one kind: its volumes, or why they cannot be used."""

    kind: Kind
    stacks: tuple[Stack, ...]
    problem: SeriesError | GeometryError | None = None

    @property
    def time(self) -> str:
        """When the last slice was acquired; empty where nothing is usable."""
        return max((stack.time for stack in self.stacks), default="")


def without_other_epi(slices: Sequence[Slice]) -> list[Slice]:
    """Return the slices but those of echo planar series that have nothing to do with diffusion.

    A raw image of b 0 in a series without weighted ones must say that it is of a diffusion
    sequence: perfusion and functional series are echo planar too, and their b value is 0.
    """
    weighted = {one.series for one in slices if (one.b_value_s_mm2 or 0.0) >= NEAR_B0_S_MM2}
    return [
        one for one in slices if one.kind != "raw" or one.says_diffusion or one.series in weighted
    ]


def find_runs(slices: Iterable[Slice]) -> list[Run]:
    """Return the runs of a study's slices, one for each series and kind."""
    grouped: dict[tuple[str, Kind], list[Slice]] = defaultdict(list)
    for one in slices:
        grouped[one.series, one.kind].append(one)
    return [_run(kind, grouped[series, kind]) for series, kind in sorted(grouped)]


def _run(kind: Kind, slices: Sequence[Slice]) -> Run:
    try:
        return Run(kind, tuple(_volumes(slices, name=_NAMES[kind])))
    except (SeriesError, GeometryError) as error:
        return Run(kind, (), error)


def _volumes(slices: Sequence[Slice], *, name: str) -> list[Stack]:
    ordered = sorted(slices, key=lambda one: (one.order, one.plane.position_mm))
    places = find_places(ordered, name=name)
    _check_count(ordered, places, name=name)
    grouped: dict[tuple[float, Direction], list[tuple[int, Slice]]] = defaultdict(list)
    numbers = np.argmin(np.abs(heights_mm(ordered)[:, None] - places), axis=1)
    for number, one in zip(numbers.tolist(), ordered, strict=True):
        grouped[weighting_of(one)].append((number, one))
    found: list[Stack] = []
    for weighting in sorted(grouped):
        found.extend(_repeats(grouped[weighting], places, name=name, b_value=weighting[0]))
    return found


def weighting_of(one: Slice) -> tuple[float, Direction]:
    """Return b value and direction, by which the slices of a volume are told from another's."""
    b_value = -1.0 if one.b_value_s_mm2 is None else round(one.b_value_s_mm2, 4)
    if one.direction is None:
        return b_value, (0.0, 0.0, 0.0)
    x, y, z = (round(part, 3) for part in one.direction)
    return b_value, (x, y, z)


def _repeats(
    numbered: Sequence[tuple[int, Slice]],
    places: NDArray[np.float64],
    *,
    name: str,
    b_value: float,
) -> list[Stack]:
    """Return the volumes of one weighting, its slices in the order of acquisition."""
    by_place: list[list[Slice]] = [[] for _ in places]
    for number, one in numbered:
        by_place[number].append(one)
    num_volumes = max(map(len, by_place))
    missing = [number for number, found in enumerate(by_place) if len(found) < num_volumes]
    if missing:
        of_b = f" at b {b_value:.0f}" if b_value >= 0 else ""
        raise SeriesError(
            f"{name} lacks {say_missing(missing, places)} in one of its volumes{of_b}.",
            remedy=_SEND_ALL,
        )
    return [Stack(tuple(found[k] for found in by_place)) for k in range(num_volumes)]


def _check_count(slices: Sequence[Slice], places: NDArray[np.float64], *, name: str) -> None:
    expected = max((one.num_expected or 0 for one in slices), default=0)
    if expected > places.size:
        raise SeriesError(
            f"{name} has {places.size} slice positions, from {places[0]:.1f} to "
            f"{places[-1]:.1f} mm along the normal; its header counts {expected}: "
            f"{expected - places.size} are missing at an end.",
            remedy=_SEND_ALL,
        )
