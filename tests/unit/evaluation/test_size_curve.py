"""Sensitivity over volume by hand, and its interval against the defining equation."""

from __future__ import annotations

import math

import numpy as np
from scipy.stats import binom

from pirta.evaluation.size_curve import size_bins, size_curve


def test_volumes_of_a_log_grid_are_counted_each_on_its_own(make_cases) -> None:
    volumes = np.geomspace(0.05, 50, 13).repeat(2).tolist()
    cases = make_cases([1] * 26, lesion_ml=volumes)
    points = size_curve(cases, cases.lesion_ml_Q > 1)
    assert [point.num_cases for point in points] == [2] * 13
    np.testing.assert_allclose([point.volume_ml for point in points], volumes[::2])
    assert [point.num_called for point in points] == [0] * 6 + [2] * 7


def test_the_interval_leaves_two_and_a_half_percent_on_either_side(make_cases) -> None:
    cases = make_cases([1] * 10, lesion_ml=[2.0] * 10)
    (point,) = size_curve(cases, np.arange(10) < 7)
    np.testing.assert_allclose(point.sensitivity.value, 0.7)
    np.testing.assert_allclose(binom.sf(6, 10, point.sensitivity.low), 0.025)
    np.testing.assert_allclose(binom.cdf(7, 10, point.sensitivity.high), 0.025)


def test_normals_and_strokes_of_unknown_volume_are_left_out(make_cases) -> None:
    cases = make_cases([0, 1, 2], lesion_ml=[0.0, math.nan, 3.0])
    points = size_curve(cases, np.ones(3, bool))
    assert [(point.volume_ml, point.num_cases) for point in points] == [(3.0, 1)]
    assert size_curve(make_cases([0, 0]), np.ones(2, bool)) == ()


def test_borders_belong_to_the_larger_bin(make_cases) -> None:
    cases = make_cases([1] * 4, lesion_ml=[0.49, 0.5, 1.0, 20.0])
    bins = {name: rows.tolist() for name, rows in size_bins(cases).items()}
    assert bins == {
        "below 0.5 ml": [True, False, False, False],
        "0.5-1 ml": [False, True, False, False],
        "1-5 ml": [False, False, True, False],
        "20 ml or more": [False, False, False, True],
        "1 ml or more": [False, False, True, True],
    }
