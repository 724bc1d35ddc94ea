"""Bootstrap intervals that resample patients, not scans.

Two scans of a patient are no two observations: whole patients are drawn with replacement, and
all their rows come along. A figure that is not defined (no case of a class) is NaN, never 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int_]


@dataclass(frozen=True)
class Interval:
    """A figure with its percentile interval; NaN where it is not defined."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        if math.isnan(self.value):
            return "not defined"
        if math.isnan(self.low):
            return f"{self.value:.3f}"
        return f"{self.value:.3f} ({self.low:.3f}-{self.high:.3f})"


def bootstrap_interval(
    statistic: Callable[[Rows], float],
    patient_ids: Sequence[str],
    *,
    num_resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Return `statistic` of all rows, with its interval over resampled patients.

    Args:
        statistic: figure of a selection of row numbers, repeats included; NaN if undefined.
        patient_ids: the patient of each row.

    Resamples in which the figure is not defined are left out; with fewer than two patients, or
    under half of the resamples defined, the interval is NaN.
    """
    num_rows = len(patient_ids)
    value = statistic(np.arange(num_rows)) if num_rows else math.nan
    _, patient_of_row = np.unique(np.asarray(patient_ids, dtype=str), return_inverse=True)
    num_patients = int(patient_of_row.max()) + 1 if num_rows else 0
    if num_patients < 2 or num_resamples < 1 or math.isnan(value):
        return Interval(value, math.nan, math.nan)
    rows_of_patient = [np.flatnonzero(patient_of_row == index) for index in range(num_patients)]
    rng = np.random.default_rng(seed)
    picks = (rng.integers(num_patients, size=num_patients) for _ in range(num_resamples))
    drawn = np.array(
        [statistic(np.concatenate([rows_of_patient[i] for i in pick])) for pick in picks]
    )
    defined = drawn[~np.isnan(drawn)]
    if len(defined) < num_resamples / 2:
        return Interval(value, math.nan, math.nan)
    tail = 100 * (1 - level) / 2
    low, high = np.percentile(defined, [tail, 100 - tail])
    return Interval(value, float(low), float(high))


def mean_of(values: NDArray[np.float64]) -> Callable[[Rows], float]:
    """Return the statistic "mean of these values over the rows that have one"."""

    def statistic(rows: Rows) -> float:
        chosen = values[rows]
        chosen = chosen[~np.isnan(chosen)]
        return float(chosen.mean()) if chosen.size else math.nan

    return statistic
