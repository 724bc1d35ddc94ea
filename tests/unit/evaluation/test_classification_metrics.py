"""Class metrics against hand examples and counting in plain loops."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pirta.evaluation.classification_metrics import (
    any_lesion,
    balanced_accuracy,
    confusion,
    one_vs_rest_accuracy,
    sensitivity,
    specificity,
)

MATRIX = np.array([[8, 2, 0, 0], [1, 3, 0, 0], [0, 1, 1, 0], [0, 0, 0, 4]])


def test_figures_of_a_hand_example() -> None:
    assert sensitivity(MATRIX, 0) == 8 / 10
    assert specificity(MATRIX, 0) == 9 / 10
    assert one_vs_rest_accuracy(MATRIX, 0) == 17 / 20
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
    assert sensitivity(matrix, 0) == 1.0
    assert math.isnan(specificity(matrix, 0))
    assert math.isnan(sensitivity(matrix, 1))
    assert math.isnan(sensitivity(any_lesion(matrix), 1))


def test_no_case_at_all_is_nan_everywhere() -> None:
    matrix = confusion(np.zeros(0, int), np.zeros(0, int), num_classes=4)
    assert math.isnan(balanced_accuracy(matrix))
    assert math.isnan(one_vs_rest_accuracy(matrix, 0))


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=40))
@settings(max_examples=50, deadline=None)
def test_figures_equal_counting_pair_by_pair(pairs: list[tuple[int, int]]) -> None:
    truth, called = (np.array(column) for column in zip(*pairs, strict=True))
    matrix = confusion(truth, called, num_classes=4)
    for index in range(4):
        own = [c == index for t, c in pairs if t == index]
        rest = [c != index for t, c in pairs if t != index]
        _same(sensitivity(matrix, index), own)
        _same(specificity(matrix, index), rest)
        _same(one_vs_rest_accuracy(matrix, index), own + rest)
    _same(sensitivity(any_lesion(matrix), 1), [c > 0 for t, c in pairs if t > 0])
    _same(specificity(any_lesion(matrix), 1), [c == 0 for t, c in pairs if t == 0])


def _same(found: float, right: list[bool]) -> None:
    if right:
        assert found == sum(right) / len(right)
    else:
        assert math.isnan(found)
