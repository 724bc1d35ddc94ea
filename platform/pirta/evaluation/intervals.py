"""Bootstrap intervals that resample patients, not scans.

Two scans of a patient are no two observations: whole patients are drawn with replacement, and
all their cases come along. A resample is a row of weights, how often each case was drawn, so
that a figure of all resamples is one product of matrices. A figure that is not defined (no case
of a class) is NaN, never 0.

Axis suffixes: S samples (first the data themselves, then the resamples), Q cases.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Weights = NDArray[np.float64]
Values = NDArray[np.float64]


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


def draw_weights(
    patient_ids: NDArray[np.str_], *, num_resamples: int = 1000, seed: int = 0
) -> Weights:
    """Return how often each case is drawn, `(S, Q)`; the first row is all ones.

    With fewer than two patients there is nothing to resample, and the first row is all.
    """
    num_cases = len(patient_ids)
    itself = np.ones((1, num_cases))
    _, patient_of_case = np.unique(patient_ids, return_inverse=True)
    num_patients = int(patient_of_case.max()) + 1 if num_cases else 0
    if num_patients < 2 or num_resamples < 1:
        return itself
    rng = np.random.default_rng(seed)
    share = np.full(num_patients, 1 / num_patients)
    times = rng.multinomial(num_patients, share, size=num_resamples)
    return np.concatenate([itself, times[:, patient_of_case]])


@dataclass(frozen=True)
class Sampled:
    """A figure in every sample.

    Attributes:
        num_patients: who enters it, where it is a mean of shares over them; None for others.
    """

    values_S: Values
    num_patients: int | None = None

    def interval(self, *, level: float = 0.95) -> Interval:
        """Return the figure with its percentile interval.

        Resamples in which it is not defined are left out; where under half are defined, the
        interval is NaN. A figure without spread, such as 20 of 20, is not certain: its open
        side is the exact binomial limit over patients, or NaN where it is no mean over them.
        """
        value, drawn = float(self.values_S[0]), self.values_S[1:]
        defined = drawn[~np.isnan(drawn)]
        if math.isnan(value) or not len(drawn) or len(defined) < len(drawn) / 2:
            return Interval(value, math.nan, math.nan)
        tail = (1 - level) / 2
        if np.ptp(defined) == 0:
            return self._without_spread(value, tail)
        low, high = np.percentile(defined, [100 * tail, 100 - 100 * tail])
        return Interval(value, float(low), float(high))

    def _without_spread(self, value: float, tail: float) -> Interval:
        if self.num_patients is None or value not in (0.0, 1.0):
            return Interval(value, math.nan, math.nan)
        limit = tail ** (1 / self.num_patients)  # Clopper and Pearson's, of all or none
        return Interval(value, limit, 1.0) if value else Interval(value, 0.0, 1 - limit)


def sampled_mean(
    values_Q: NDArray[np.float64], patient_ids: NDArray[np.str_], weights_SQ: Weights
) -> Sampled:
    """Return the mean of the cases' shares, 0 to 1, over those that have one (not NaN)."""
    num_patients = len(np.unique(patient_ids[~np.isnan(values_Q)]))
    return Sampled(weighted_mean(values_Q, weights_SQ), num_patients)


def weighted_mean(values_Q: NDArray[np.float64], weights_SQ: Weights) -> Values:
    """Return the mean over the cases that have a value, `(S,)`; NaN where none has."""
    known = ~np.isnan(values_Q)
    return share(weights_SQ @ np.where(known, values_Q, 0.0), weights_SQ @ known.astype(float))


def share(part: Values, whole: Values) -> Values:
    """Return part / whole, NaN where the whole is 0."""
    undefined = np.full(np.shape(whole), math.nan)
    return np.asarray(np.divide(part, whole, out=undefined, where=whole > 0))
