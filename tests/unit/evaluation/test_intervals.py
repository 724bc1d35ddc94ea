"""Bootstrap intervals: patients are resampled whole, coverage is right, undefined stays so."""

from __future__ import annotations

import math

import numpy as np

from pirta.evaluation.intervals import Interval, bootstrap_interval, mean_of


def test_a_figure_without_spread_has_a_point_interval() -> None:
    interval = bootstrap_interval(mean_of(np.ones(20)), [str(i) for i in range(20)])
    assert (interval.value, interval.low, interval.high) == (1.0, 1.0, 1.0)


def test_the_same_seed_gives_the_same_interval() -> None:
    values = np.random.default_rng(0).random(30)
    patients = [str(i) for i in range(30)]
    assert bootstrap_interval(mean_of(values), patients) == bootstrap_interval(
        mean_of(values), patients
    )


def test_the_interval_is_about_that_of_the_mean() -> None:
    values = np.random.default_rng(1).normal(size=400)
    interval = bootstrap_interval(mean_of(values), [str(i) for i in range(400)])
    half = 1.96 * values.std() / math.sqrt(400)
    np.testing.assert_allclose(interval.low, values.mean() - half, atol=0.02)
    np.testing.assert_allclose(interval.high, values.mean() + half, atol=0.02)


def test_repeated_scans_of_a_patient_do_not_narrow_the_interval() -> None:
    values = np.random.default_rng(2).normal(size=30)
    once = bootstrap_interval(mean_of(values), [str(i) for i in range(30)])
    repeated = bootstrap_interval(
        mean_of(np.repeat(values, 10)), [str(i // 10) for i in range(300)]
    )
    np.testing.assert_allclose(repeated.high - repeated.low, once.high - once.low, rtol=0.1)


def test_patients_are_drawn_whole() -> None:
    seen: list[set[int]] = []

    def statistic(rows: np.ndarray) -> float:
        seen.append(set(rows.tolist()))
        return 0.0

    bootstrap_interval(statistic, ["a", "b", "a", "c"], num_resamples=50)
    assert all((0 in rows) == (2 in rows) for rows in seen)


def test_no_row_one_patient_and_undefined_figures_have_no_interval() -> None:
    nothing = bootstrap_interval(mean_of(np.zeros(0)), [])
    single = bootstrap_interval(mean_of(np.ones(2)), ["a", "a"])
    undefined = bootstrap_interval(mean_of(np.full(3, math.nan)), ["a", "b", "c"])
    assert math.isnan(nothing.value)
    assert single.value == 1.0
    assert math.isnan(single.low)
    assert math.isnan(undefined.value)


def test_intervals_read_well() -> None:
    assert str(Interval(0.5, 0.25, 0.75)) == "0.500 (0.250-0.750)"
    assert str(Interval(0.5, math.nan, math.nan)) == "0.500"
    assert str(Interval(math.nan, math.nan, math.nan)) == "not defined"
