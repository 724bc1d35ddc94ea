"""Class metrics against hand examples, counting in plain loops, and scikit-learn."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pirta.evaluation.classification_metrics import (
    accuracy,
    any_lesion,
    auroc,
    balanced_accuracy,
    confusion,
    confusions,
    macro_f1,
    one_vs_rest_accuracy,
    sensitivity,
    sensitivity_at,
    specificity,
)
from pirta.evaluation.intervals import draw_weights

MATRIX = np.array([[8, 2, 0, 0], [1, 3, 0, 0], [0, 1, 1, 0], [0, 0, 0, 4]])


def test_figures_of_a_hand_example() -> None:
    assert sensitivity(MATRIX, 0) == 8 / 10
    assert specificity(MATRIX, 0) == 9 / 10
    assert one_vs_rest_accuracy(MATRIX, 0) == 17 / 20
    assert accuracy(MATRIX) == 16 / 20
    np.testing.assert_allclose(balanced_accuracy(MATRIX), (0.8 + 0.75 + 0.5 + 1.0) / 4)
    assert any_lesion(MATRIX).tolist() == [[8, 2], [1, 9]]


def test_never_saying_posterior_looks_well_by_the_papers_figure_only() -> None:
    """The reason why sensitivity stands beside one-vs-rest accuracy."""
    truth = np.array([0] * 86 + [3] * 14)
    matrix = confusion(truth, np.zeros(100, int), num_classes=4)
    assert one_vs_rest_accuracy(matrix, 3) == 0.86
    assert sensitivity(matrix, 3) == 0.0
    assert balanced_accuracy(matrix) == 0.5


def test_one_class_only_gives_that_class_and_nan_for_the_others() -> None:
    matrix = confusion(np.zeros(5, int), np.zeros(5, int), num_classes=4)
    assert balanced_accuracy(matrix) == 1.0
    assert macro_f1(matrix) == 1.0
    assert sensitivity(matrix, 0) == 1.0
    assert math.isnan(specificity(matrix, 0))
    assert math.isnan(sensitivity(matrix, 1))
    assert math.isnan(sensitivity(any_lesion(matrix), 1))


def test_no_case_at_all_is_nan_everywhere() -> None:
    matrix = confusion(np.zeros(0, int), np.zeros(0, int), num_classes=4)
    for figure in (balanced_accuracy, accuracy, macro_f1):
        assert math.isnan(figure(matrix))
    assert math.isnan(one_vs_rest_accuracy(matrix, 0))
    empty, one = np.zeros(0), np.ones((1, 0))
    assert math.isnan(auroc(empty > 0, empty, one)[0])
    assert math.isnan(sensitivity_at(empty > 0, empty, one, least_specificity=0.9)[0])


def test_truths_and_calls_of_different_number_are_refused() -> None:
    with pytest.raises(ValueError, match="truths for"):
        confusion(np.zeros(2, int), np.zeros(3, int), num_classes=4)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=40))
@settings(max_examples=50, deadline=None)
def test_figures_equal_counting_pair_by_pair(pairs: list[tuple[int, int]]) -> None:
    truth, called = (np.array(column) for column in zip(*pairs, strict=True))
    matrix = confusion(truth, called, num_classes=4)
    for index in range(4):
        own = [c == index for t, c in pairs if t == index]
        rest = [c != index for t, c in pairs if t != index]
        _same(float(sensitivity(matrix, index)), own)
        _same(float(specificity(matrix, index)), rest)
        _same(float(one_vs_rest_accuracy(matrix, index)), own + rest)
    _same(float(sensitivity(any_lesion(matrix), 1)), [c > 0 for t, c in pairs if t > 0])
    _same(float(specificity(any_lesion(matrix), 1)), [c == 0 for t, c in pairs if t == 0])


def _same(found: float, right: list[bool]) -> None:
    if right:
        np.testing.assert_allclose(found, sum(right) / len(right))
    else:
        assert math.isnan(found)


def test_every_sample_equals_scikit_learn_with_the_samples_weights() -> None:
    from sklearn import metrics

    rng = np.random.default_rng(0)
    truth, called = rng.integers(4, size=60), rng.integers(4, size=60)
    scores = rng.choice([0.1, 0.2, 0.5, 0.9], size=60)  # many ties
    weights = draw_weights(np.array([str(i // 2) for i in range(60)]), num_resamples=40)
    matrices = confusions(truth, called, weights, num_classes=4)
    areas = auroc(truth > 0, scores, weights)
    found = zip(
        weights, matrices, macro_f1(matrices), balanced_accuracy(matrices), areas, strict=True
    )
    for row, matrix, f1, balanced, area in found:
        given_weights = {"sample_weight": row}
        np.testing.assert_allclose(matrix, metrics.confusion_matrix(truth, called, **given_weights))
        drawn = row > 0
        right_f1 = metrics.f1_score(
            truth[drawn], called[drawn], average="macro", sample_weight=row[drawn]
        )
        np.testing.assert_allclose(f1, right_f1)
        np.testing.assert_allclose(
            balanced,
            metrics.balanced_accuracy_score(truth[drawn], called[drawn], sample_weight=row[drawn]),
        )
        np.testing.assert_allclose(area, metrics.roc_auc_score(truth > 0, scores, **given_weights))


@given(st.integers(0, 2**32 - 1), st.sampled_from([0.5, 0.8, 0.95, 1.0]))
@settings(max_examples=40, deadline=None)
def test_sensitivity_at_a_specificity_equals_trying_every_threshold(
    seed: int, least: float
) -> None:
    rng = np.random.default_rng(seed)
    positive = np.array([True, False, *(rng.random(20) < 0.5)])
    scores = rng.choice(np.linspace(0, 1, 9), size=22)
    slow = max(
        (scores[positive] >= threshold).mean()
        for threshold in [*np.unique(scores), 2.0]
        if (scores[~positive] < threshold).mean() >= least - 1e-12
    )
    found = sensitivity_at(positive, scores, np.ones((1, 22)), least_specificity=least)
    np.testing.assert_allclose(found[0], slow)


def test_one_kind_of_case_has_no_roc() -> None:
    scores, ones = np.array([0.2, 0.9]), np.ones((1, 2))
    for positive in (np.array([True, True]), np.array([False, False])):
        assert math.isnan(auroc(positive, scores, ones)[0])
        assert math.isnan(sensitivity_at(positive, scores, ones, least_specificity=0.95)[0])
