"""Two encoders on the same cases: McNemar by hand, differences by the bootstrap."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest

from pirta.errors import ManifestError
from pirta.evaluation.case_figures import Judgement
from pirta.evaluation.neighbour_hits import find_hits
from pirta.evaluation.paired_comparison import Judged, compare, mcnemar


def test_mcnemars_p_equals_counting_coin_throws() -> None:
    first = np.array([True] * 8 + [False] * 2 + [True] * 5)
    second = np.array([False] * 8 + [True] * 2 + [True] * 5)
    found = mcnemar(first, second)
    throws = [sum(coins) for coins in product((0, 1), repeat=10)]
    slow = sum(heads >= 8 or heads <= 2 for heads in throws) / len(throws)
    np.testing.assert_allclose(found.p_value, slow)
    assert (found.both, found.only_first, found.only_second, found.neither) == (5, 8, 2, 0)


def test_encoders_that_never_disagree_differ_by_nothing() -> None:
    right = np.array([True, False])
    assert mcnemar(right, right).p_value == 1.0
    assert mcnemar(np.zeros(0, bool), np.zeros(0, bool)).p_value == 1.0


def _judged(make_cases, shown, truths, name="q"):
    queries = make_cases(shown, truths, name=name)
    index = make_cases([0, 1, 2, 3], name="i")
    return Judged(queries, find_hits(queries, index, num_neighbours=4), Judgement((1, 3)))


def test_the_better_encoder_comes_out_better_with_an_interval_above_nothing(make_cases) -> None:
    truths = [0, 1, 2, 3] * 10
    worse = [0, 0, 0, 3] * 10
    better = compare(_judged(make_cases, truths, truths), _judged(make_cases, worse, truths))
    precision = better.differences["precision@1"]
    assert precision.value == 0.5
    assert 0.3 < precision.low < 0.5 < precision.high < 0.7
    assert better.differences["any lesion: sensitivity"].value == pytest.approx(2 / 3)
    assert (better.answers["class"].only_first, better.answers["class"].only_second) == (20, 0)
    assert better.answers["class"].p_value == pytest.approx(2 * 0.5**20)
    assert better.answers["precision@1"].only_first == 20


def test_pairing_makes_the_interval_of_equal_encoders_a_point(make_cases) -> None:
    shown, truths = [0, 1, 1, 3] * 10, [0, 1, 2, 3] * 10
    same = compare(_judged(make_cases, shown, truths), _judged(make_cases, shown, truths))
    assert same.differences["accuracy"].value == 0.0
    assert math.isnan(same.differences["accuracy"].low)  # no spread at all: nothing to tell


def test_other_cases_are_refused(make_cases) -> None:
    ours = _judged(make_cases, [0, 1], [0, 1])
    for theirs in (
        _judged(make_cases, [0, 1], [0, 1], name="other"),
        _judged(make_cases, [0, 1], [0, 2]),
        _judged(make_cases, [0], [0]),
    ):
        with pytest.raises(ManifestError, match="not measured on the same 2 cases"):
            compare(ours, theirs)
