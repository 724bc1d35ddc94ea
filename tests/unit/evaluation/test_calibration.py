"""Calibration against scikit-learn, plain counting, and probabilities made to be right."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pirta.evaluation.calibration import (
    brier_scores,
    expected_calibration_error,
    fit_temperature,
    reliability,
    scale,
)


def _drawn(seed: int, count: int, temperature: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Truths drawn by true probabilities, and these with their logits times `temperature`."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(scale=2.0, size=(count, 4))
    right = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    truth = np.array([rng.choice(4, p=row) for row in right])
    shown = np.exp(logits * temperature)
    return truth, shown / shown.sum(axis=1, keepdims=True)


def test_brier_scores_equal_scikit_learns() -> None:
    from sklearn.metrics import brier_score_loss

    truth, shown = _drawn(0, 60)
    right = brier_score_loss(truth, shown, labels=range(4), scale_by_half=False)
    np.testing.assert_allclose(brier_scores(truth, shown).mean(), right)
    assert brier_scores(np.array([1]), np.eye(4)[[0]])[0] == 2.0


@pytest.mark.parametrize("num_bins", [1, 7, 10])
def test_ece_equals_counting_bin_by_bin_in_each_sample(num_bins: int) -> None:
    truth, shown = _drawn(1, 50)
    weights = np.random.default_rng(2).integers(0, 3, size=(6, 50)).astype(float)
    found = expected_calibration_error(truth, shown, weights, num_bins=num_bins)
    order = np.argsort(shown.max(axis=1), kind="stable")
    for row, value in zip(weights, found, strict=True):
        slow = 0.0
        for rows in np.array_split(order, num_bins):
            gaps = [
                row[case] * (shown[case].max() - float(shown[case].argmax() == truth[case]))
                for case in rows
            ]
            slow += abs(sum(gaps)) / row.sum()
        np.testing.assert_allclose(value, slow)


def test_one_bin_of_sure_and_wrong_answers_is_all_error() -> None:
    sure = np.eye(4)[[0, 0]]
    ones = np.ones((1, 2))
    assert expected_calibration_error(np.array([1, 1]), sure, ones, num_bins=10)[0] == 1.0
    assert expected_calibration_error(np.array([0, 0]), sure, ones, num_bins=10)[0] == 0.0


def test_no_case_has_no_calibration() -> None:
    empty = np.zeros((0, 4))
    found = expected_calibration_error(np.zeros(0, int), empty, np.ones((3, 0)), num_bins=10)
    assert np.isnan(found).all()
    assert reliability(np.zeros(0, int), empty, num_bins=10) == ()


def test_bins_hold_the_same_number_of_cases_and_few_cases_fill_few_bins() -> None:
    truth, shown = _drawn(3, 50)
    bins = reliability(truth, shown, num_bins=10)
    assert [one.num_cases for one in bins] == [5] * 10
    means = [one.mean_confidence for one in bins]
    assert means == sorted(means)
    assert len(reliability(truth[:3], shown[:3], num_bins=10)) == 3


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_a_known_temperature_is_found_and_mends_the_calibration(temperature: float) -> None:
    truth, shown = _drawn(4, 3000, temperature)
    found = fit_temperature(truth, shown)
    np.testing.assert_allclose(found, temperature, rtol=0.12)
    ones = np.ones((1, len(truth)))
    before = expected_calibration_error(truth, shown, ones, num_bins=10)[0]
    after = expected_calibration_error(truth, scale(shown, found), ones, num_bins=10)[0]
    assert after < 0.03
    assert after <= before + 0.01


def test_a_temperature_changes_no_call_and_one_changes_nothing() -> None:
    _, shown = _drawn(5, 40)
    np.testing.assert_allclose(scale(shown, 1.0), shown)
    assert (scale(shown, 4.0).argmax(axis=1) == shown.argmax(axis=1)).all()


def test_probabilities_of_nought_and_one_stay_finite() -> None:
    truth = np.array([0, 1, 2])
    sure = np.eye(4)[[0, 1, 3]]
    assert math.isfinite(fit_temperature(truth, sure))
    assert np.isfinite(scale(sure, 0.05)).all()
