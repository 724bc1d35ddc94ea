"""Risk against coverage: what a system's errors cost when it may stay silent.

Cases are answered from the most to the least confident. Coverage is the share that is answered,
the selective risk the share of wrong ones among those (El-Yaniv & Wiener, JMLR 2010; Geifman &
El-Yaniv, NeurIPS 2017). AURC is the mean selective risk over all coverages: 0 is perfect, the
plain error rate is what a confidence without information gives. Cases of equal confidence are
answered together or not at all, since no threshold tells them apart.

`certified_threshold` is Learn-then-Test by fixed-sequence testing (Angelopoulos et al.,
arXiv:2110.01052, section 4): thresholds are tested from the strictest on, each at the full level,
until one is not certified; the p-value is the exact binomial one. Thresholds that answer too few
cases to be certified even without an error are passed over, which depends on no answer. A
threshold must not be fitted and reported on the same cases.

Axis suffixes: Q cases, T thresholds (strictest first).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

# Coverages at which thresholds are tried, strictest first; a fixed sequence, chosen without data.
COVERAGES: tuple[float, ...] = tuple(round(0.05 * step, 2) for step in range(1, 21))


@dataclass(frozen=True)
class RiskCoverage:
    """The curve, one point a distinct confidence.

    Attributes:
        thresholds_T: a case is answered if its confidence is at least this.
        num_answered_T, num_wrong_T: counts there; both grow.
    """

    thresholds_T: NDArray[np.float64]
    num_answered_T: NDArray[np.int64]
    num_wrong_T: NDArray[np.int64]

    @property
    def num_cases(self) -> int:
        """All cases, answered or not."""
        return int(self.num_answered_T[-1])

    @property
    def coverage_T(self) -> NDArray[np.float64]:
        """Share of cases answered."""
        return np.asarray(self.num_answered_T / self.num_cases)

    @property
    def risk_T(self) -> NDArray[np.float64]:
        """Share of wrong ones among the answered."""
        return np.asarray(self.num_wrong_T / self.num_answered_T)

    @property
    def aurc(self) -> float:
        """Area under the curve: each case counts with the risk at the point where it joins."""
        joining_T = np.diff(self.num_answered_T, prepend=0)
        return float((self.risk_T * joining_T).sum() / self.num_cases)

    def accuracy_at(self, coverage: float) -> float:
        """Return the selective accuracy at the least coverage of the curve that reaches this."""
        return 1 - float(self.risk_T[self._at(coverage)])

    def threshold_at(self, coverage: float) -> float:
        """Return the strictest threshold that still answers this share of the cases."""
        return float(self.thresholds_T[self._at(coverage)])

    def widest_at(self, max_risk: float) -> float | None:
        """Return the laxest threshold whose risk here is at most `max_risk`; None if none is."""
        within = np.flatnonzero(self.risk_T <= max_risk)
        return float(self.thresholds_T[within[-1]]) if len(within) else None

    def _at(self, coverage: float) -> int:
        assert 0 < coverage <= 1, coverage
        # Rounded up by counts: 0.8 of 5 cases is 4, whatever the floats say.
        wanted = int(np.ceil(round(coverage * self.num_cases, 9)))
        return int(np.searchsorted(self.num_answered_T, wanted))


def risk_coverage(confidence_Q: NDArray[np.float64], is_right_Q: NDArray[np.bool_]) -> RiskCoverage:
    """Return the curve of at least one case.

    Raises:
        ValueError: there is no case, the columns differ in length, or a confidence is NaN.
    """
    if len(confidence_Q) == 0 or len(confidence_Q) != len(is_right_Q):
        raise ValueError(f"{len(confidence_Q)} confidences and {len(is_right_Q)} answers")
    if np.isnan(confidence_Q).any():
        raise ValueError("a confidence is not a number")
    order = np.argsort(-confidence_Q, kind="stable")
    ranked_Q, wrong_Q = confidence_Q[order], np.cumsum(~is_right_Q[order])
    last_T = np.flatnonzero(np.append(ranked_Q[1:] != ranked_Q[:-1], True))
    return RiskCoverage(
        thresholds_T=ranked_Q[last_T],
        num_answered_T=(last_T + 1).astype(np.int64),
        num_wrong_T=wrong_Q[last_T].astype(np.int64),
    )


def risk_upper_bound(num_wrong: int, num_answered: int, *, delta: float) -> float:
    """Return Clopper and Pearson's upper limit of the risk, which holds with 1 - `delta`.

    For a threshold that other cases chose. Without an answered case nothing is known: 1.
    """
    if num_answered == 0 or num_wrong >= num_answered:
        return 1.0
    return float(stats.beta.ppf(1 - delta, num_wrong + 1, num_answered - num_wrong))


def certified_threshold(curve: RiskCoverage, *, max_risk: float, delta: float) -> float | None:
    """Return the laxest threshold whose risk is at most `max_risk` with probability 1 - `delta`.

    None where too few cases are there to say so: 1 % at 90 % takes 230 answered without an error.
    """
    certified: float | None = None
    for coverage in COVERAGES:
        threshold = curve.threshold_at(coverage)
        row = int(np.flatnonzero(curve.thresholds_T == threshold)[0])
        num_answered = int(curve.num_answered_T[row])
        if risk_upper_bound(0, num_answered, delta=delta) > max_risk:
            continue
        if risk_upper_bound(int(curve.num_wrong_T[row]), num_answered, delta=delta) > max_risk:
            break
        certified = threshold
    return certified
