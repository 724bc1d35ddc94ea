"""Risk against coverage, held against a slow and obvious count."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from pirta.reporting.risk_coverage import (
    certified_threshold,
    risk_coverage,
    risk_upper_bound,
)

some_cases = st.lists(
    st.tuples(st.sampled_from([0.1, 0.4, 0.5, 0.9, 0.95]), st.booleans()), min_size=1, max_size=30
)


def arrays(cases: list[tuple[float, bool]]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([c for c, _ in cases]), np.array([right for _, right in cases], bool)


@settings(deadline=None)
@given(some_cases)
def test_each_point_is_a_count_of_the_cases_above_its_threshold(
    cases: list[tuple[float, bool]],
) -> None:
    curve = risk_coverage(*arrays(cases))
    slow = []
    for threshold in sorted({confidence for confidence, _ in cases}, reverse=True):
        answered = [right for confidence, right in cases if confidence >= threshold]
        slow.append((threshold, len(answered), answered.count(False)))
    found = zip(curve.thresholds_T, curve.num_answered_T, curve.num_wrong_T, strict=True)
    assert [(float(t), int(n), int(w)) for t, n, w in found] == slow
    assert curve.coverage_T[-1] == 1
    assert curve.risk_T[-1] == pytest.approx(sum(not right for _, right in cases) / len(cases))


@settings(deadline=None)
@given(some_cases)
def test_the_area_is_the_mean_risk_over_the_cases(cases: list[tuple[float, bool]]) -> None:
    curve = risk_coverage(*arrays(cases))
    slow = []
    for confidence, _ in cases:
        answered = [right for other, right in cases if other >= confidence]
        slow.append(answered.count(False) / len(answered))
    assert curve.aurc == pytest.approx(np.mean(slow))


def test_a_perfect_confidence_has_its_errors_last() -> None:
    curve = risk_coverage(np.array([0.9, 0.8, 0.7, 0.2]), np.array([True, True, True, False]))
    assert curve.accuracy_at(0.75) == 1
    assert curve.accuracy_at(1.0) == 0.75
    assert curve.threshold_at(0.75) == 0.7
    assert curve.widest_at(0.0) == 0.7
    assert curve.widest_at(0.25) == 0.2


def test_an_error_at_the_top_leaves_no_threshold_of_no_risk() -> None:
    curve = risk_coverage(np.array([0.9, 0.8]), np.array([False, True]))
    assert curve.widest_at(0.1) is None


def test_equal_confidences_are_answered_together() -> None:
    curve = risk_coverage(np.full(4, 0.5), np.array([True, False, True, True]))
    assert curve.num_answered_T.tolist() == [4]
    assert curve.aurc == 0.25


@pytest.mark.parametrize(("confidence", "right"), [([], []), ([0.5], []), ([np.nan], [True])])
def test_what_makes_no_curve_is_refused(confidence: list[float], right: list[bool]) -> None:
    with pytest.raises(ValueError, match="confidence"):
        risk_coverage(np.array(confidence), np.array(right, bool))


@pytest.mark.parametrize(("num_wrong", "num_answered"), [(0, 20), (1, 50), (3, 10)])
def test_the_bound_is_where_so_few_errors_have_the_probability_delta(
    num_wrong: int, num_answered: int
) -> None:
    bound = risk_upper_bound(num_wrong, num_answered, delta=0.1)
    assert stats.binom.cdf(num_wrong, num_answered, bound) == pytest.approx(0.1)


def test_the_bound_knows_nothing_of_no_case_and_of_all_wrong() -> None:
    assert risk_upper_bound(0, 0, delta=0.1) == 1
    assert risk_upper_bound(5, 5, delta=0.1) == 1


def test_one_percent_takes_230_cases_without_an_error() -> None:
    def answered(count: int) -> float | None:
        confidence = np.linspace(1, 0.5, 2 * count)
        right = np.append(np.ones(count, bool), np.zeros(count, bool))
        return certified_threshold(risk_coverage(confidence, right), max_risk=0.01, delta=0.1)

    assert answered(229) is None
    assert answered(230) is not None


def test_a_certificate_is_kept_in_at_least_nine_of_ten_data_sets() -> None:
    # The risk at confidence c is 0.4 * (1 - c): above a threshold t its mean is 0.2 * (1 - t).
    broken = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        confidence = rng.random(400)
        right = rng.random(400) >= 0.4 * (1 - confidence)
        threshold = certified_threshold(risk_coverage(confidence, right), max_risk=0.1, delta=0.1)
        broken += threshold is not None and 0.2 * (1 - threshold) > 0.1
    assert broken <= 30  # 20 expected at most; 30 is two standard deviations above
