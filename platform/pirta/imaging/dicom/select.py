"""Which volumes of a study become its DWI, its ADC and its b0, and why.

The scanner's own trace and ADC map come first; where either is missing it is computed from what
is there. A DWI and an ADC map are of one acquisition (see `pairing`). Among equals the latest
complete acquisition is taken, and of one acquisition the images corrected for distortion; where
nothing tells them apart the study is ambiguous and refused.
Headers alone decide: nothing is decoded here. Every decision is a note by name, without
identifiers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from pirta.errors import PirtaError, SeriesError
from pirta.imaging.dicom.pairing import (
    find_pairs,
    later_warnings,
    pair_rank,
    shell_rank,
    time_warnings,
)
from pirta.imaging.dicom.pools import b0_beside, find_groups
from pirta.imaging.dicom.series import Run
from pirta.imaging.dicom.shell import (
    directional,
    is_weighted,
    near_b0,
    shell_of,
    spans_an_adc,
    trace_shell,
    untold_warnings,
)
from pirta.imaging.dicom.stack import Stack

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
        warnings: what the report has to say of the selection, a sentence each.
    """

    dwi: tuple[Stack, ...]
    adc: Stack | None
    b0: tuple[Stack, ...]
    fit: tuple[Stack, ...]
    notes: dict[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


def select(runs: Sequence[Run]) -> Selection:
    """Return which volumes make the study's pair.

    Raises:
        SeriesError: no diffusion images, an incomplete series without a complete one in its
            place, or candidates that nothing tells apart.
        ChannelMismatchError: DWI and ADC lie in different frames of reference.
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
        dwi = _latest(_best_shells(traces), shell_rank, "trace series", notes)
        return _fitted_beside_trace(dwi, runs, notes)
    shells = _best_shells(traces)
    pairs = find_pairs(shells, maps)
    dwi, adc = _latest(pairs, pair_rank, "trace and ADC pairs", notes)
    b_text = "" if dwi[0].b_value_s_mm2 is None else f" at b {dwi[0].b_value_s_mm2:.0f}"
    repeats = f", geometric mean of {len(dwi)}" if len(dwi) > 1 else ""
    notes |= {"dwi": f"scanner trace{b_text}{repeats}", "adc": "scanner ADC map"}
    b0 = b0_beside(dwi[0], runs)
    warnings = (*time_warnings(dwi, adc), *later_warnings(dwi, shells))
    return Selection(dwi, adc, b0, (), notes, warnings)


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
    groups = find_groups(runs, needs_fit=not maps)
    able = [group for group in groups if shell_of(group)]
    if not able:
        found = sum(len(run.stacks) for run in runs)
        raise SeriesError(
            f"No diffusion-weighted volume was found ({found} volumes with a b value, "
            f"{len(maps)} ADC maps).",
            remedy=_REMEDY,
        )
    if maps:
        raw, adc = _latest(find_pairs(able, maps), pair_rank, "raw series and ADC pairs", notes)
        shell = directional(shell_of(raw), notes)
        warnings = (
            *time_warnings(shell, adc),
            *later_warnings(raw, able),
            *untold_warnings(shell),
        )
        notes |= {"dwi": _mean_words(shell), "adc": "scanner ADC map"}
        return Selection(shell, adc, tuple(one for one in raw if near_b0(one)), (), notes, warnings)
    fit = _latest(
        [group for group in able if spans_an_adc(group)] or able,
        shell_rank,
        "raw diffusion series",
        notes,
    )
    shell = directional(shell_of(fit), notes)
    kept = tuple(one for one in fit if near_b0(one) or one not in shell_of(fit) or one in shell)
    return Selection((), None, (), kept, notes, untold_warnings(shell))


def _fitted_beside_trace(
    dwi: tuple[Stack, ...], runs: Sequence[Run], notes: dict[str, str]
) -> Selection:
    """Fit the ADC over b0 and the scanner's traces of the DWI's series."""
    b0 = b0_beside(dwi[0], runs)
    own = next(run for run in runs if dwi[0] in run.stacks)
    if not b0:
        raise SeriesError(
            "There is a scanner trace but neither an ADC map nor a b0 volume on its grid "
            "and of its acquisition.",
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


def _best_shells(shells: Sequence[tuple[Stack, ...]]) -> list[tuple[Stack, ...]]:
    """Return the series whose trace has the best b value: what `shell_of` prefers among all."""
    best = shell_of([stack for shell in shells for stack in shell], any_b=True)
    kept = [tuple(one for one in shell if one in best) for shell in shells]
    return [shell for shell in kept if shell]


def _latest(
    found: Sequence[Item],
    rank: Callable[[Item], tuple[str | float, ...]],
    name: str,
    notes: dict[str, str],
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


def _mean_words(shell: tuple[Stack, ...]) -> str:
    return f"geometric mean of {len(shell)} volumes at b {shell[0].b_value_s_mm2:.0f}"
