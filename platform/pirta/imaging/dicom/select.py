"""Which volumes of a study become its DWI, its ADC and its b0, and why.

The scanner's own trace and ADC map come first; where either is missing it is computed from what
is there. Among equals the latest complete acquisition is taken, and of one acquisition the images
corrected for distortion; where nothing tells them apart the study is ambiguous and refused.
Headers alone decide: nothing is decoded here. Every decision is a note by name, without
identifiers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from pirta.errors import PirtaError, SeriesError
from pirta.imaging.dicom.series import Run
from pirta.imaging.dicom.shell import (
    directional,
    is_weighted,
    near_b0,
    shell_of,
    spans_an_adc,
    trace_shell,
)
from pirta.imaging.dicom.stack import Stack
from pirta.imaging.pair import GRID_TOLERANCE_MM

Item = TypeVar("Item")

_REMEDY = (
    "Send the whole diffusion study: the trace series with its ADC map, or the raw diffusion "
    "series with its b0 images."
)


@dataclass(frozen=True)
class Selection:
    """What to decode.

    Attributes:
        dwi: one trace, or the volumes whose geometric mean is the trace; empty where the fit
            gives it.
        adc: the scanner's map; None where it is fitted.
        b0: near-b0 volumes on the DWI's grid, to be averaged.
        fit: the volumes to fit where the ADC or the trace is to be computed, with b values.
        notes: each decision by name.
    """

    dwi: tuple[Stack, ...]
    adc: Stack | None
    b0: tuple[Stack, ...]
    fit: tuple[Stack, ...]
    notes: dict[str, str] = field(default_factory=dict)


def select(runs: Sequence[Run]) -> Selection:
    """Return which volumes make the study's pair.

    Raises:
        SeriesError: no diffusion images, an incomplete series without a complete one in its
            place, or candidates that nothing tells apart.
        GeometryError: the only series there is has an absurd size.
    """
    if not runs:
        raise SeriesError("No diffusion images were found.", remedy=_REMEDY)
    notes: dict[str, str] = {}
    traces = [shell for run in _complete(runs, "trace", notes) if (shell := trace_shell(run))]
    maps = [stack for run in _complete(runs, "adc", notes) for stack in run.stacks]
    if not traces:
        return _from_raw(_complete(runs, "raw", notes), maps, notes)
    if not maps:
        dwi = _latest(_best_shells(traces), _shell_rank, "trace series", notes)
        return _fitted_beside_trace(dwi, runs, notes)
    pairs = _matching(_best_shells(traces), maps)
    dwi, adc = _latest(pairs, _pair_rank, "trace and ADC pairs", notes)
    b_text = "" if dwi[0].b_value_s_mm2 is None else f" at b {dwi[0].b_value_s_mm2:.0f}"
    repeats = f", geometric mean of {len(dwi)}" if len(dwi) > 1 else ""
    notes |= {"dwi": f"scanner trace{b_text}{repeats}", "adc": "scanner ADC map"}
    b0 = _b0_beside(dwi[0], runs)
    return Selection(dwi=dwi, adc=adc, b0=b0, fit=(), notes=notes)


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


def _complete(runs: Sequence[Run], kind: str, notes: dict[str, str]) -> list[Run]:
    """Return the usable runs of a kind; where there are only unusable ones, say why."""
    found = [run for run in runs if run.kind == kind]
    good = [run for run in found if run.problem is None]
    problem: PirtaError | None = next((run.problem for run in found if run.problem), None)
    if problem is not None and not good:
        raise problem
    if problem is not None:
        notes[f"{kind}_left_out"] = f"{len(found) - len(good)} incomplete of {len(found)} series"
    return good


def _from_raw(runs: Sequence[Run], maps: Sequence[Stack], notes: dict[str, str]) -> Selection:
    """Compute the trace, and the ADC where the scanner gives none, from raw directions."""
    groups = _groups(runs)
    able = [group for group in groups if shell_of(group)]
    if not able:
        found = sum(len(run.stacks) for run in runs)
        raise SeriesError(
            f"No diffusion-weighted volume was found ({found} volumes with a b value, "
            f"{len(maps)} ADC maps).",
            remedy=_REMEDY,
        )
    if maps:
        raw, adc = _latest(_matching(able, maps), _pair_rank, "raw series and ADC pairs", notes)
        shell = directional(shell_of(raw), notes)
        notes |= {"dwi": _mean_words(shell), "adc": "scanner ADC map"}
        return Selection(shell, adc, tuple(one for one in raw if near_b0(one)), (), notes)
    fit = _latest(
        [group for group in able if spans_an_adc(group)] or able,
        _shell_rank,
        "raw diffusion series",
        notes,
    )
    shell = directional(shell_of(fit), notes)
    kept = tuple(one for one in fit if near_b0(one) or one not in shell_of(fit) or one in shell)
    return Selection((), None, (), kept, notes)


def _fitted_beside_trace(
    dwi: tuple[Stack, ...], runs: Sequence[Run], notes: dict[str, str]
) -> Selection:
    """Fit the ADC over b0 and the scanner's traces of the DWI's series."""
    b0 = _b0_beside(dwi[0], runs)
    own = next(run for run in runs if dwi[0] in run.stacks)
    if not b0:
        raise SeriesError(
            "There is a scanner trace but neither an ADC map nor a b0 volume on its grid.",
            remedy="Send the ADC series, or the b0 images of the acquisition, beside the trace.",
        )
    weighted = tuple(one for one in own.stacks if is_weighted(one) and one.b_value_s_mm2)
    if not weighted:
        raise SeriesError(
            "There is a scanner trace and a b0, but no ADC map and no b value for the trace.",
            remedy="Send the ADC series beside the trace.",
        )
    notes["source"] = "scanner trace"
    return Selection((), None, (), b0 + weighted, notes)


def _b0_beside(dwi: Stack, runs: Sequence[Run]) -> tuple[Stack, ...]:
    """Return the near-b0 volumes on the DWI's grid: of its own series, else of the latest."""
    found = []
    for run in runs:
        stacks = tuple(one for one in run.stacks if near_b0(one) and same_grid(one, dwi))
        if stacks and run.kind != "adc":
            is_own = any(one.first.series == dwi.first.series for one in stacks)
            found.append((is_own, run.time, stacks))
    return max(found, key=lambda one: one[:2])[2] if found else ()


def _groups(runs: Sequence[Run]) -> list[tuple[Stack, ...]]:
    """Return what can be computed from together: a series, or several that need each other.

    Some scanners put each b value into a series of its own; those are pooled by grid, but only
    where no series is sufficient alone.
    """
    alone = [run.stacks for run in runs if spans_an_adc(run.stacks)]
    if alone:
        return alone
    pools: list[list[Stack]] = []
    for stack in (stack for run in runs for stack in run.stacks):
        pool = next((pool for pool in pools if same_grid(pool[0], stack)), None)
        if pool is None:
            pools.append([stack])
        else:
            pool.append(stack)
    return [tuple(pool) for pool in pools]


def _best_shells(shells: Sequence[tuple[Stack, ...]]) -> list[tuple[Stack, ...]]:
    """Return the series whose trace has the best b value: what `shell_of` prefers among all."""
    best = shell_of([stack for shell in shells for stack in shell], any_b=True)
    kept = [tuple(one for one in shell if one in best) for shell in shells]
    return [shell for shell in kept if shell]


def _matching(
    firsts: Sequence[tuple[Stack, ...]], maps: Sequence[Stack]
) -> list[tuple[tuple[Stack, ...], Stack]]:
    """Return the pairs on one grid; all pairs where there is none (the pair check refuses)."""
    every = [(first, one) for first in firsts for one in maps]
    return [(first, one) for first, one in every if same_grid(first[0], one)] or every


def _latest(
    found: Sequence[Item], rank: Callable[[Item], tuple[str, ...]], name: str, notes: dict[str, str]
) -> Item:
    if len(found) == 1:
        return found[0]
    ranks = [rank(one) for one in found]
    best = max(ranks)
    if ranks.count(best) > 1:
        raise SeriesError(
            f"The study is ambiguous: {ranks.count(best)} of {len(found)} {name} are equally late.",
            remedy="Send one acquisition: one trace series with its ADC, or one raw series.",
        )
    notes["selection"] = f"latest of {len(found)} {name}"
    return found[ranks.index(best)]


def _shell_rank(shell: tuple[Stack, ...]) -> tuple[str, ...]:
    return (max(stack.time for stack in shell), _correction(shell[0]))


def _pair_rank(pair: tuple[tuple[Stack, ...], Stack]) -> tuple[str, ...]:
    time, correction = _shell_rank(pair[0])
    return (time, pair[1].time, correction, _correction(pair[1]))


def _correction(stack: Stack) -> str:
    return "corrected" if stack.first.is_corrected else ""


def _mean_words(shell: tuple[Stack, ...]) -> str:
    return f"geometric mean of {len(shell)} volumes at b {shell[0].b_value_s_mm2:.0f}"
