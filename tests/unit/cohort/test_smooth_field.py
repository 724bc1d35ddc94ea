"""Smooth random fields: their statistics, and agreement with a plain B-spline."""

from __future__ import annotations

import numpy as np
from scipy.interpolate import BSpline

from pirta.cohort.smooth_field import _spline_weights, smooth_field


def test_the_weights_are_those_of_a_cubic_b_spline() -> None:
    size, step = 23, 0.37
    weights = _spline_weights(size, step)
    coefficients = np.random.default_rng(1).normal(size=weights.shape[1])
    knots = np.arange(-3.0, weights.shape[1] + 1)
    expected = BSpline(knots, coefficients, 3)(np.arange(size) * step)
    np.testing.assert_allclose(weights @ coefficients, expected, atol=1e-5)


def test_a_constant_stays_a_constant() -> None:
    np.testing.assert_allclose(_spline_weights(50, 0.21).sum(axis=1), 1, atol=1e-6)


def test_the_field_has_no_mean_and_unit_variance() -> None:
    field = smooth_field(
        np.random.default_rng(3), (80, 90, 70), spacing_mm=(2.0, 2.0, 2.0), scale_mm=8.0
    )
    assert field.shape == (80, 90, 70)
    assert field.dtype == np.float32
    assert abs(float(field.mean())) < 0.05
    assert abs(float(field.std()) - 1) < 0.08


def test_neighbours_differ_little_and_far_voxels_much() -> None:
    field = smooth_field(
        np.random.default_rng(4), (60, 60, 30), spacing_mm=(2.0, 2.0, 4.0), scale_mm=20.0
    )
    assert np.abs(np.diff(field, axis=0)).std() < 0.15
    assert np.abs(field[40:] - field[:-40]).std() > 0.5


def test_the_seed_decides_and_the_axes_keep_their_order() -> None:
    first, second = (
        smooth_field(np.random.default_rng(5), (7, 9, 11), spacing_mm=(1.0, 2.0, 3.0), scale_mm=5.0)
        for _ in range(2)
    )
    np.testing.assert_array_equal(first, second)
    assert first.shape == (7, 9, 11)
