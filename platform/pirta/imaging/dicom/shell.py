"""Which of a series' volumes make the trace: the highest b value up to 1000, as the fit has it.

A shell is the volumes of one nominal b value. A scanner's trace is taken at the b value it has,
also above 1000 where there is no other; a trace that is computed is not.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pirta.errors import SeriesError
from pirta.imaging.dicom.series import Run
from pirta.imaging.dicom.stack import Stack
from pirta.imaging.diffusion_fit import (
    B_JITTER_S_MM2,
    MAX_TRACE_B_S_MM2,
    MIN_B_SPREAD_S_MM2,
    MIN_TRACE_B_S_MM2,
    NEAR_B0_S_MM2,
)

MIN_DIRECTIONS = 3
SAME_DIRECTION = 0.999
"""Cosine from which two directions are one (and its opposite, which weights alike)."""


def near_b0(stack: Stack) -> bool:
    """Return whether a volume is not diffusion-weighted."""
    return stack.b_value_s_mm2 is not None and stack.b_value_s_mm2 < NEAR_B0_S_MM2


def is_weighted(stack: Stack) -> bool:
    """Return whether a volume is diffusion-weighted, or of no b value at all."""
    return not near_b0(stack)


def shell_of(stacks: Sequence[Stack], *, any_b: bool = False) -> tuple[Stack, ...]:
    """Return the volumes of the highest b value from 500 to 1000, with its jitter; else none.

    Args:
        any_b: where there is none, take the lowest b value above, else volumes without one.
    """
    known = [(one.b_value_s_mm2 or 0.0, one) for one in stacks if one.b_value_s_mm2]
    least, most = MIN_TRACE_B_S_MM2 - B_JITTER_S_MM2, MAX_TRACE_B_S_MM2 + B_JITTER_S_MM2
    usable = [b for b, _ in known if least <= b <= most]
    if usable:
        top = max(usable)
        return tuple(one for b, one in known if top - 2 * B_JITTER_S_MM2 <= b <= top)
    above = [b for b, _ in known if b > most]
    if any_b and above:
        low = min(above)
        return tuple(one for b, one in known if low <= b <= low + 2 * B_JITTER_S_MM2)
    return tuple(one for one in stacks if one.b_value_s_mm2 is None) if any_b else ()


def trace_shell(run: Run) -> tuple[Stack, ...]:
    """Return which volumes of a scanner's trace series are the DWI; none where it has none."""
    return shell_of([one for one in run.stacks if is_weighted(one)], any_b=True)


def spans_an_adc(stacks: Sequence[Stack]) -> bool:
    """Return whether an ADC and a trace can be computed from these volumes."""
    shell = shell_of(stacks)
    lowest = min((one.b_value_s_mm2 or 0.0 for one in stacks), default=0.0)
    return bool(shell) and (
        max(one.b_value_s_mm2 or 0.0 for one in shell) - lowest >= MIN_B_SPREAD_S_MM2
    )


def directional(shell: tuple[Stack, ...], notes: dict[str, str]) -> tuple[Stack, ...]:
    """Return a raw shell's volumes with directions, which must be three or more, or all.

    Where no direction is told at all the volumes are taken as they are, and that is noted. A
    volume without direction among others with one is the scanner's mean of them: it is left out.

    Raises:
        SeriesError: one or two directions only: their mean is no trace.
    """
    told = tuple(one for one in shell if one.first.direction is not None)
    if not told:
        notes["directions"] = f"not told by the header, {len(shell)} volumes taken as a trace"
        return shell
    distinct: list[np.ndarray] = []
    for one in told:
        unit = np.array(one.first.direction) / np.linalg.norm(np.array(one.first.direction))
        if all(abs(float(unit @ other)) < SAME_DIRECTION for other in distinct):
            distinct.append(unit)
    if len(distinct) < MIN_DIRECTIONS:
        raise SeriesError(
            f"The raw diffusion series has {len(distinct)} gradient directions at its trace's "
            f"b value; a trace takes {MIN_DIRECTIONS} or more.",
            remedy="Send the whole diffusion series, or the scanner's trace and ADC.",
        )
    notes["directions"] = f"{len(distinct)}"
    return told


def untold_warnings(shell: tuple[Stack, ...]) -> tuple[str, ...]:
    """Return what the report has to say of a raw shell too small to be known for a trace."""
    if len(shell) >= MIN_DIRECTIONS or any(one.first.direction is not None for one in shell):
        return ()
    word = "image" if len(shell) == 1 else "images"
    return (
        f"The DWI was made of {len(shell)} diffusion-weighted {word} whose header tells no "
        "gradient direction: a single direction is no trace, and white matter may look bright.",
    )
