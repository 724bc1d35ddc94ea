"""The limits of abstention, fitted on held-out cases of one encoder and one index.

Held-out cases are verified, and neither the encoder nor the index has seen their patients. First
the two similarity gates: the k-th smallest similarity, with k = floor(far_share * (n + 1)), below
which a case from the same population falls with probability at most `far_share` whatever the
distribution (conformal p-values: Bates et al., Ann. Statist. 51, 2023). Then, among the cases
that pass, the laxest confidence whose risk is small enough: certified by Learn-then-Test where the
cases suffice, else as observed, and the result says which. Gates and threshold see the same
cases: report risk and coverage on others (`cross_fitted`).

Axis suffixes: Q cases.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pirta.contracts.abstention import AbstentionLimits
from pirta.reporting.abstention import Signals, judge
from pirta.reporting.risk_coverage import (
    RiskCoverage,
    certified_threshold,
    risk_coverage,
    risk_upper_bound,
)

_DEFAULTS = AbstentionLimits()


@dataclass(frozen=True)
class HeldOutCase:
    """A verified case: what the evidence gave, and whether the finding drawn from it was right."""

    patient_id: str
    signals: Signals
    is_right: bool


@dataclass(frozen=True)
class FitGoal:
    """What the limits are to reach.

    Attributes:
        max_risk: share of wrong findings among those stated.
        delta: a certificate fails with at most this probability.
        far_share: share of known cases that each similarity gate may turn away.
        min_confidence: never go below; half a vote is no finding.
    """

    max_risk: float = 0.01
    delta: float = 0.1
    far_share: float = 0.02
    min_confidence: float = 0.5
    quality_factor: float = _DEFAULTS.quality_factor


@dataclass(frozen=True)
class FittedLimits:
    """Limits, and how they came about.

    Attributes:
        is_certified: the risk holds with probability 1 - delta.
        is_reached: the risk was reached at least on the cases fitted on; if not, the limit is
            the one of least risk.
        curve: of the cases that pass the gates.
    """

    limits: AbstentionLimits
    is_certified: bool
    is_reached: bool
    curve: RiskCoverage


@dataclass(frozen=True)
class Selective:
    """What limits do on cases they were not fitted on.

    Attributes:
        risk_bound: Clopper and Pearson's upper limit of the risk at 1 - delta.
    """

    num_cases: int
    num_answered: int
    num_wrong: int
    risk_bound: float

    @property
    def coverage(self) -> float:
        """Share of the cases answered; NaN without a case."""
        return self.num_answered / self.num_cases if self.num_cases else math.nan

    @property
    def accuracy(self) -> float:
        """Share of right ones among the answered; NaN where none was."""
        return 1 - self.num_wrong / self.num_answered if self.num_answered else math.nan


def fit_limits(held_out: Sequence[HeldOutCase], goal: FitGoal | None = None) -> FittedLimits:
    """Return the limits for the encoder and the index that the cases were asked of.

    Raises:
        ValueError: there is no case, or the gates leave none.
    """
    goal = goal or FitGoal()
    gates = AbstentionLimits(
        min_top_similarity=_gate([case.signals.top_similarity for case in held_out], goal),
        min_mean_similarity=_gate([case.signals.mean_similarity for case in held_out], goal),
        min_confidence=0.0,
        quality_factor=goal.quality_factor,
    )
    near = [case for case in held_out if not judge(case.signals, gates).abstains]
    confidence_Q = np.array(
        [case.signals.confidence(quality_factor=goal.quality_factor) for case in near]
    )
    curve = risk_coverage(confidence_Q, np.array([case.is_right for case in near], bool))
    certified = certified_threshold(curve, max_risk=goal.max_risk, delta=goal.delta)
    observed = curve.widest_at(goal.max_risk)
    threshold = certified if certified is not None else observed
    if threshold is None:
        threshold = _least_risk(curve)
    return FittedLimits(
        limits=gates.model_copy(
            update={"min_confidence": min(1.0, max(goal.min_confidence, threshold))}
        ),
        is_certified=certified is not None,
        is_reached=observed is not None,
        curve=curve,
    )


def apply_limits(
    cases: Sequence[HeldOutCase], limits: AbstentionLimits, *, delta: float = 0.1
) -> Selective:
    """Return coverage and risk of the limits on these cases."""
    answered = [case for case in cases if not judge(case.signals, limits).abstains]
    num_wrong = sum(not case.is_right for case in answered)
    return Selective(
        num_cases=len(cases),
        num_answered=len(answered),
        num_wrong=num_wrong,
        risk_bound=risk_upper_bound(num_wrong, len(answered), delta=delta),
    )


def cross_fitted(
    cases: Sequence[HeldOutCase], goal: FitGoal | None = None, *, num_folds: int = 2, seed: int = 0
) -> Selective:
    """Return coverage and risk where each case is judged by limits fitted without its patient.

    Raises:
        ValueError: there are fewer patients than folds.
    """
    goal = goal or FitGoal()
    patients = sorted({case.patient_id for case in cases})
    if len(patients) < num_folds:
        raise ValueError(f"{len(patients)} patients for {num_folds} folds")
    shuffled = np.random.default_rng(seed).permutation(patients).tolist()
    fold_of = {patient: place % num_folds for place, patient in enumerate(shuffled)}
    parts = []
    for fold in range(num_folds):
        rest = [case for case in cases if fold_of[case.patient_id] != fold]
        judged = [case for case in cases if fold_of[case.patient_id] == fold]
        parts.append(apply_limits(judged, fit_limits(rest, goal).limits, delta=goal.delta))
    num_answered = sum(part.num_answered for part in parts)
    num_wrong = sum(part.num_wrong for part in parts)
    return Selective(
        num_cases=len(cases),
        num_answered=num_answered,
        num_wrong=num_wrong,
        risk_bound=risk_upper_bound(num_wrong, num_answered, delta=goal.delta),
    )


def _gate(similarities: Sequence[float], goal: FitGoal) -> float:
    """The k-th smallest similarity; -1, no limit, where too few cases say anything."""
    k = math.floor(goal.far_share * (len(similarities) + 1))
    return max(-1.0, min(1.0, sorted(similarities)[k - 1])) if k else -1.0


def _least_risk(curve: RiskCoverage) -> float:
    """The laxest of the thresholds of least risk."""
    rows = np.flatnonzero(curve.risk_T == curve.risk_T.min())
    return float(curve.thresholds_T[rows[-1]])
