"""Limits fitted on held-out cases do on others what they promise."""

from __future__ import annotations

import numpy as np
import pytest

from pirta.contracts.finding import Label
from pirta.reporting.abstention import Signals
from pirta.reporting.abstention_fit import (
    FitGoal,
    HeldOutCase,
    apply_limits,
    cross_fitted,
    fit_limits,
)


def held_out(
    confidence: float, is_right: bool, *, similarity: float = 0.8, patient: int = 0
) -> HeldOutCase:
    """A case whose neighbours and classifier are equally sure."""
    return HeldOutCase(
        patient_id=f"p{patient}",
        signals=Signals(Label.ANTERIOR, similarity, similarity, confidence, confidence),
        is_right=is_right,
    )


def drawn(count: int, *, seed: int) -> list[HeldOutCase]:
    """Cases whose errors become rare as the confidence grows; none is wrong above 0.75."""
    rng = np.random.default_rng(seed)
    cases = []
    for number in range(count):
        confidence = float(rng.uniform(0.4, 1.0))
        is_right = confidence > 0.75 or rng.random() < 0.6
        similarity = float(rng.uniform(0.6, 0.95))
        cases.append(held_out(confidence, is_right, similarity=similarity, patient=number))
    return cases


def test_the_threshold_is_the_laxest_of_small_enough_risk() -> None:
    cases = [held_out(0.9, True), held_out(0.8, True), held_out(0.7, False), held_out(0.6, True)]
    fitted = fit_limits(cases, FitGoal(max_risk=0.0))
    assert fitted.limits.min_confidence == pytest.approx(0.8)
    assert fitted.is_reached
    assert not fitted.is_certified
    lax = fit_limits(cases, FitGoal(max_risk=0.25))
    assert lax.limits.min_confidence == pytest.approx(0.6)


def test_half_a_vote_is_no_finding_even_where_all_are_right() -> None:
    fitted = fit_limits([held_out(0.3, True)] * 5)
    assert fitted.limits.min_confidence == 0.5


def test_a_goal_out_of_reach_takes_the_least_risk_and_says_so() -> None:
    cases = [held_out(0.9, False), held_out(0.8, True), held_out(0.7, False)]
    fitted = fit_limits(cases, FitGoal(max_risk=0.01))
    assert not fitted.is_reached
    assert fitted.limits.min_confidence == pytest.approx(0.8)


def test_few_cases_set_no_limit_on_similarity() -> None:
    limits = fit_limits(drawn(40, seed=1), FitGoal(far_share=0.02)).limits
    assert limits.min_top_similarity == limits.min_mean_similarity == -1


def test_a_gate_turns_away_no_more_known_cases_than_allowed() -> None:
    turned_away = []
    for seed in range(40):
        limits = fit_limits(drawn(99, seed=seed), FitGoal(far_share=0.05)).limits
        others = drawn(200, seed=1000 + seed)
        turned_away.append(
            np.mean([case.signals.top_similarity < limits.min_top_similarity for case in others])
        )
    assert 0.03 < np.mean(turned_away) <= 0.055


def test_a_study_unlike_all_others_is_turned_away_however_sure_the_votes() -> None:
    limits = fit_limits(drawn(100, seed=0)).limits
    assert apply_limits([held_out(1.0, False, similarity=0.3)], limits).num_answered == 0


def test_enough_cases_give_a_certificate() -> None:
    fitted = fit_limits(drawn(2000, seed=3), FitGoal(max_risk=0.02))
    assert fitted.is_certified
    fresh = apply_limits(drawn(5000, seed=4), fitted.limits)
    assert fresh.accuracy >= 0.98
    assert 0.35 < fresh.coverage < 0.5  # 0.42 of the cases are above 0.75
    assert fresh.risk_bound >= 1 - fresh.accuracy


def test_cross_fitting_judges_every_case_once_by_limits_without_its_patient() -> None:
    cases = drawn(60, seed=5)
    result = cross_fitted(cases)
    assert result.num_cases == 60
    assert cross_fitted(cases) == result
    same_patient = [held_out(0.9, True, patient=1), held_out(0.9, True, patient=1)]
    with pytest.raises(ValueError, match="1 patients for 2 folds"):
        cross_fitted(same_patient)


def test_nothing_answered_is_no_accuracy_and_no_knowledge_of_the_risk() -> None:
    none = apply_limits([held_out(0.1, True)], fit_limits(drawn(50, seed=6)).limits)
    assert none.coverage == 0
    assert np.isnan(none.accuracy)
    assert none.risk_bound == 1
    assert np.isnan(apply_limits([], fit_limits(drawn(50, seed=6)).limits).coverage)


def test_no_case_fits_no_limits() -> None:
    with pytest.raises(ValueError, match="0 confidences"):
        fit_limits([])
