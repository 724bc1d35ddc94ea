"""One line of the table: what was measured, against what, and how often better it is.

A ratio says more than a time: times change with the machine and its load, and both sides of a
ratio were measured in turns in the same minutes. Nothing is measured here.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Ratio:
    """A measured pair.

    Attributes:
        ours, baseline: in `unit`.
        ratio: above 1 where ours is better.
        note: what else has to be known to judge it, an error or a recall for one.
    """

    question: str
    ours_name: str
    ours: float
    baseline_name: str
    baseline: float
    unit: str
    ratio: float
    note: str = ""


def seconds_in_turns(
    *calls: Callable[[], object], repeats: int, warm_up: bool = True
) -> list[float]:
    """Return the median seconds of each call; the calls take turns, so that load hits all."""
    taken = all_seconds_in_turns(*calls, repeats=repeats, warm_up=warm_up)
    return [float(np.median(times)) for times in taken]


def all_seconds_in_turns(
    *calls: Callable[[], object], repeats: int, warm_up: bool = True
) -> list[list[float]]:
    """Return the seconds of each call's repetitions; the calls take turns."""
    if warm_up:
        for call in calls:
            call()
    taken: list[list[float]] = [[] for _ in calls]
    for _ in range(repeats):
        for times, call in zip(taken, calls, strict=True):
            started = time.perf_counter()
            call()
            times.append(time.perf_counter() - started)
    return taken
