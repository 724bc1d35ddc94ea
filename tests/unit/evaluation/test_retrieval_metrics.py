"""Neighbour metrics against hand examples and slow references."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pirta.evaluation.retrieval_metrics import (
    Normalisation,
    any_hit_at,
    average_precision_at,
    precision_at,
    rank_neighbours,
)

HITS = np.array([[True, False, True, True], [False, False, False, True], [False] * 4])
NUM_RELEVANT = np.array([10, 1, 0])


def test_precision_and_any_hit_of_a_hand_example() -> None:
    np.testing.assert_allclose(precision_at(HITS, 1), [1, 0, 0])
    np.testing.assert_allclose(precision_at(HITS, 3), [2 / 3, 0, 0])
    np.testing.assert_allclose(any_hit_at(HITS, 3), [1, 0, 0])
    np.testing.assert_allclose(any_hit_at(HITS, 4), [1, 1, 0])


def test_average_precision_of_a_hand_example_by_each_normalisation() -> None:
    total = 1 + 2 / 3 + 3 / 4  # precision where a relevant case stands, first query, n = 4
    expected = {
        Normalisation.ALL_RELEVANT: [total / 10, 1 / 4, math.nan],
        Normalisation.REACHABLE: [total / 4, 1 / 4, math.nan],
        Normalisation.RETRIEVED: [total / 3, 1 / 4, math.nan],
    }
    for normalisation, values in expected.items():
        found = average_precision_at(HITS, 4, NUM_RELEVANT, normalisation)
        np.testing.assert_allclose(found, values)


def test_average_precision_at_one_divided_by_all_relevant_cannot_be_high() -> None:
    """Why the paper's formula cannot have given its 0.94 at n = 1."""
    hits, relevant = np.ones((1, 1), bool), np.array([200])
    assert average_precision_at(hits, 1, relevant, Normalisation.ALL_RELEVANT)[0] == 1 / 200
    assert average_precision_at(hits, 1, relevant, Normalisation.REACHABLE)[0] == 1


def test_missing_neighbours_count_as_wrong_and_no_neighbour_is_not_defined() -> None:
    assert precision_at(np.ones((1, 2), bool), 5)[0] == 2 / 5
    assert math.isnan(precision_at(np.ones((1, 0), bool), 5)[0])
    assert math.isnan(any_hit_at(np.ones((1, 0), bool), 5)[0])


def test_k_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        precision_at(HITS, 0)


@given(st.integers(0, 2**32 - 1), st.integers(1, 12))
@settings(max_examples=40, deadline=None)
def test_average_precision_equals_the_slow_reference(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    hits = rng.random((6, 10)) < rng.random()
    relevant = hits.sum(axis=1)
    for normalisation in Normalisation:
        found = average_precision_at(hits, n, relevant, normalisation)
        slow = [_slow_average(row, n, normalisation) for row in hits.tolist()]
        np.testing.assert_allclose(found, slow)


def _slow_average(row: list[bool], n: int, normalisation: Normalisation) -> float:
    if not any(row):
        return math.nan
    first = row[:n]
    total = sum(sum(first[: i + 1]) / (i + 1) for i in range(len(first)) if first[i])
    divisor = {
        Normalisation.ALL_RELEVANT: sum(row),
        Normalisation.REACHABLE: min(n, sum(row)),
        Normalisation.RETRIEVED: max(1, sum(first)),
    }[normalisation]
    return total / divisor


def test_ranks_equal_sorting_by_hand_and_excluded_rows_come_last() -> None:
    rng = np.random.default_rng(0)
    queries, index = (rng.normal(size=(count, 5)).astype(np.float32) for count in (4, 9))
    excluded = np.zeros((4, 9), bool)
    excluded[2, 3] = True
    ranks = rank_neighbours(queries, index, excluded_QR=excluded)
    for number, query in enumerate(queries):
        slow = sorted(
            range(9), key=lambda row: (bool(excluded[number, row]), -float(query @ index[row]))
        )
        assert ranks[number].tolist() == slow


def test_equal_similarities_keep_the_index_order() -> None:
    one = np.ones((1, 2), np.float32)
    assert rank_neighbours(one, np.ones((4, 2), np.float32)).tolist() == [[0, 1, 2, 3]]
