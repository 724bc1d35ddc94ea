"""Bootstrap intervals: patients are resampled whole, coverage is right, undefined stays so."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import binomtest

from pirta.evaluation.intervals import (
    Interval,
    Sampled,
    draw_weights,
    sampled_mean,
    share,
    weighted_mean,
)


def _names(count: int) -> np.ndarray:
    return np.array([str(number) for number in range(count)])


def _interval(values: np.ndarray, patients: np.ndarray | None = None) -> Interval:
    patients = _names(len(values)) if patients is None else patients
    return sampled_mean(values, patients, draw_weights(patients)).interval()


@pytest.mark.parametrize("count", [2, 20, 69])
def test_all_or_none_of_n_has_the_exact_binomial_limit_and_is_not_certain(count: int) -> None:
    limits = binomtest(count, count).proportion_ci(method="exact")
    whole, nothing = _interval(np.ones(count)), _interval(np.zeros(count))
    assert (whole.value, whole.high) == (1.0, 1.0)
    np.testing.assert_allclose(whole.low, limits.low)
    np.testing.assert_allclose([nothing.low, nothing.high], [0.0, 1 - limits.low])


def test_two_scans_of_a_patient_make_the_exact_limit_no_tighter() -> None:
    patients = np.repeat(_names(10), 2)
    assert _interval(np.ones(20), patients).low == _interval(np.ones(10)).low


def test_a_figure_that_is_no_mean_over_patients_has_no_interval_without_spread() -> None:
    area = Sampled(np.ones(100)).interval()
    assert area.value == 1.0
    assert math.isnan(area.low)


def test_the_same_seed_gives_the_same_interval() -> None:
    values = np.random.default_rng(0).random(30)
    assert _interval(values) == _interval(values)


def test_the_interval_is_about_that_of_the_mean() -> None:
    values = np.random.default_rng(1).normal(size=400)
    interval = _interval(values)
    half = 1.96 * values.std() / math.sqrt(400)
    np.testing.assert_allclose(interval.low, values.mean() - half, atol=0.02)
    np.testing.assert_allclose(interval.high, values.mean() + half, atol=0.02)


def test_repeated_scans_of_a_patient_do_not_narrow_the_interval() -> None:
    values = np.random.default_rng(2).normal(size=30)
    once = _interval(values)
    repeated = _interval(np.repeat(values, 10), np.repeat(_names(30), 10))
    np.testing.assert_allclose(repeated.high - repeated.low, once.high - once.low, rtol=0.1)


def test_patients_are_drawn_whole_and_the_first_sample_is_the_data() -> None:
    weights = draw_weights(np.array(["a", "b", "a", "c"]), num_resamples=50)
    assert weights.shape == (51, 4)
    assert (weights[0] == 1).all()
    assert (weights[:, 0] == weights[:, 2]).all()
    assert (weights[:, [0, 1, 3]].sum(axis=1) == 3).all()


def test_weights_give_the_figure_of_the_repeated_rows() -> None:
    """The slow way: repeat each case as often as it was drawn."""
    rng = np.random.default_rng(3)
    values, patients = rng.random(12), np.array(list("aabbcdefghij"))
    values[4] = math.nan
    weights = draw_weights(patients, num_resamples=20)
    fast = weighted_mean(values, weights)
    slow = [np.nanmean(np.repeat(values, row.astype(int))) for row in weights]
    np.testing.assert_allclose(fast, slow)


def test_no_case_one_patient_and_undefined_figures_have_no_interval() -> None:
    nothing = _interval(np.zeros(0), np.zeros(0, str))
    single = _interval(np.ones(2), np.array(["a", "a"]))
    undefined = _interval(np.full(3, math.nan))
    assert math.isnan(nothing.value)
    assert single.value == 1.0
    assert math.isnan(single.low)
    assert math.isnan(undefined.value)


def test_a_figure_defined_in_too_few_resamples_has_no_interval() -> None:
    values_S = np.array([0.5, *[math.nan] * 6, *[0.4, 0.5, 0.6, 0.7]])
    assert math.isnan(Sampled(values_S).interval().low)
    assert Sampled(np.array([0.5, math.nan, 0.4, 0.6])).interval().low < 0.5


def test_a_share_of_nothing_is_not_defined() -> None:
    found = share(np.array([1.0, 0.0]), np.array([2.0, 0.0]))
    assert found[0] == 0.5
    assert math.isnan(found[1])


def test_intervals_read_well() -> None:
    assert str(Interval(0.5, 0.25, 0.75)) == "0.500 (0.250-0.750)"
    assert str(Interval(0.5, math.nan, math.nan)) == "0.500"
    assert str(Interval(math.nan, math.nan, math.nan)) == "not defined"
