"""Which volumes may be computed from together: one grid, one echo, one acquisition.

Some scanners put each b value into a series of its own. Those are pooled, but only where no
series is sufficient alone, and never across a repositioning, another sequence or a repetition of
the whole acquisition: of repetitions the latest is taken, whole or not at all. Nothing is
decoded here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from pirta.errors import SeriesError
from pirta.imaging.dicom.acquired import (
    is_one_acquisition,
    minutes_apart,
    same_timing,
)
from pirta.imaging.dicom.series import Run, weighting_of
from pirta.imaging.dicom.shell import near_b0, spans_an_adc
from pirta.imaging.dicom.stack import Stack
from pirta.imaging.pair import GRID_TOLERANCE_MM

Group = tuple[Stack, ...]

_SEND_ONE = "Send one acquisition: one trace series with its ADC, or one raw series."


def same_grid(first: Stack, second: Stack) -> bool:
    """Return whether two volumes' voxels lie on top of each other, in one frame of reference."""
    if first.shape != second.shape or (
        first.first.frame_of_reference != second.first.frame_of_reference
    ):
        return False
    far = np.array(first.shape) - 1.0
    corners = np.array(
        [[x, y, z, 1.0] for x in (0, far[0]) for y in (0, far[1]) for z in (0, far[2])]
    )
    moved = corners @ (first.affine - second.affine).T
    return bool(np.linalg.norm(moved, axis=1).max() <= GRID_TOLERANCE_MM)


def find_groups(runs: Sequence[Run], *, needs_fit: bool) -> list[Group]:
    """Return what can be computed from together: a series, or several that need each other.

    Args:
        needs_fit: the ADC is to be computed too, and takes a b0 of the same acquisition.

    Raises:
        SeriesError: repetitions that cannot be told apart, or b0 and weighted volumes that only
            different acquisitions hold.
    """
    alone = [run.stacks for run in runs if spans_an_adc(run.stacks)]
    if alone:
        return alone
    pools = _pools(runs)
    groups = [_without_repetitions(group) for pool in pools for group in _acquisitions(pool)]
    if needs_fit and not any(map(spans_an_adc, groups)):
        for pool in pools:
            _check_not_torn(pool)
    return groups


def b0_beside(dwi: Stack, runs: Sequence[Run]) -> Group:
    """Return the near-b0 volumes on the DWI's grid: of its own series, else the nearest in time.

    Another series' are left where its echo differs or it is of another acquisition.
    """
    found = []
    for run in runs:
        stacks = tuple(one for one in run.stacks if near_b0(one) and same_grid(one, dwi))
        if run.kind == "adc" or not stacks:
            continue
        is_own = any(one.first.series == dwi.first.series for one in stacks)
        if not is_own and not all(
            same_timing(one.first.timing, dwi.first.timing)
            and is_one_acquisition(one.time, dwi.time)
            for one in stacks
        ):
            continue
        apart = minutes_apart(stacks[0].time, dwi.time) or 0.0
        found.append((is_own, -apart, run.time, stacks))
    return max(found, key=lambda one: one[:3])[3] if found else ()


def _pools(runs: Sequence[Run]) -> list[list[Stack]]:
    pools: list[list[Stack]] = []
    for stack in (stack for run in runs for stack in run.stacks):
        for pool in pools:
            alike = same_timing(pool[0].first.timing, stack.first.timing)
            if alike and same_grid(pool[0], stack):
                pool.append(stack)
                break
        else:
            pools.append([stack])
    return pools


def _acquisitions(pool: Sequence[Stack]) -> list[list[Stack]]:
    """Return a pool's volumes parted where nothing was acquired for long."""
    parts: list[list[Stack]] = []
    for stack in sorted(pool, key=lambda one: one.time):
        if parts and is_one_acquisition(parts[-1][-1].time, stack.time):
            parts[-1].append(stack)
        else:
            parts.append([stack])
    return parts


def _without_repetitions(group: Sequence[Stack]) -> Group:
    """Return the latest of what several series repeat, in the order it came in.

    Raises:
        SeriesError: a repetition is incomplete, or nothing tells which came later.
    """
    by_weighting: dict[object, dict[str, list[Stack]]] = defaultdict(lambda: defaultdict(list))
    for stack in group:
        by_weighting[_weighting(stack)][stack.first.series].append(stack)
    kept: list[Stack] = []
    dropped: list[Stack] = []
    is_ambiguous = False
    for weighting, many in by_weighting.items():
        ranked = sorted(many.values(), key=_rank)
        kept += ranked[-1]
        dropped += [stack for stacks in ranked[:-1] for stack in stacks]
        untold = weighting is not None and ranked[-1][0].first.direction is None
        is_ambiguous |= len(ranked) > 1 and (untold or _rank(ranked[-1]) == _rank(ranked[-2]))
    torn = {one.first.series for one in kept} & {one.first.series for one in dropped}
    if is_ambiguous or torn:
        raise SeriesError(
            f"The study is ambiguous: {len(dropped)} of {len(group)} raw diffusion volumes repeat "
            "others, and which belong together is not told.",
            remedy=_SEND_ONE,
        )
    return tuple(one for one in group if any(one is other for other in kept))


def _weighting(stack: Stack) -> object:
    """Return the b value and direction, None for every volume without weighting."""
    return None if near_b0(stack) else weighting_of(stack.first)


def _rank(stacks: Sequence[Stack]) -> tuple[str, bool]:
    return max(one.time for one in stacks), stacks[0].first.is_corrected


def _check_not_torn(pool: Sequence[Stack]) -> None:
    """Say that a b0 is there, and why it does not serve."""
    if not spans_an_adc(pool):
        return
    times = sorted(one.time for one in pool)
    apart = minutes_apart(times[0], times[-1]) or 0.0
    raise SeriesError(
        f"The b0 and the diffusion-weighted volumes lie up to {apart:.0f} minutes apart: they are "
        "of different acquisitions, and no ADC can be computed from them.",
        remedy="Send the b0 volumes of the acquisition, or the scanner's ADC series.",
    )
