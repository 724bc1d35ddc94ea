"""The threshold against trying every one, and where there is nothing to choose on."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pirta.evaluation.operating_point import choose_operating_point


def _cases(make_cases, scores, strokes):
    scores = np.asarray(scores, float)
    likely = np.stack([1 - scores, scores, 0 * scores, 0 * scores], axis=1)
    truths = [int(one) for one in strokes]
    return make_cases(truths, name="v", probabilities_QK=likely)


def test_the_threshold_lies_midway_and_says_where_it_was_chosen(make_cases) -> None:
    point = choose_operating_point(_cases(make_cases, [0.1, 0.2, 0.6, 0.9], [0, 0, 1, 1]))
    assert point is not None
    np.testing.assert_allclose(point.threshold, 0.4)
    assert (point.sensitivity, point.specificity) == (1.0, 1.0)
    assert (point.num_normals, point.num_strokes) == (2, 2)
    assert "chosen on v for specificity >= 0.95 (2 normals, 2 strokes" in str(point)


def test_a_bright_normal_raises_the_threshold_where_few_may_be_called(make_cases) -> None:
    cases = _cases(make_cases, [0.1, 0.7, 0.6, 0.9], [0, 0, 1, 1])
    strict = choose_operating_point(cases, least_specificity=0.95)
    lenient = choose_operating_point(cases, least_specificity=0.5)
    assert strict is not None
    assert lenient is not None
    assert (strict.sensitivity, strict.specificity) == (0.5, 1.0)
    assert (lenient.sensitivity, lenient.specificity) == (1.0, 0.5)


def test_normals_alone_and_strokes_alone_choose_nothing(make_cases) -> None:
    assert choose_operating_point(_cases(make_cases, [0.1, 0.2], [0, 0])) is None
    assert choose_operating_point(_cases(make_cases, [0.1, 0.2], [1, 1])) is None


def test_scores_that_tell_nothing_call_no_one(make_cases) -> None:
    point = choose_operating_point(_cases(make_cases, [0.5] * 4, [0, 0, 1, 1]))
    assert point is not None
    assert point.threshold > 0.5
    assert (point.sensitivity, point.specificity) == (0.0, 1.0)


@given(st.integers(0, 2**32 - 1), st.sampled_from([0.5, 0.8, 0.95]))
@settings(max_examples=40, deadline=None)
def test_no_other_threshold_does_better(make_cases, seed: int, least: float) -> None:
    rng = np.random.default_rng(seed)
    strokes = np.array([0, 1, *rng.integers(2, size=18)])
    scores = rng.choice(np.linspace(0, 1, 12), size=20)
    cases = _cases(make_cases, scores, strokes)
    point = choose_operating_point(cases, least_specificity=least)
    assert point is not None
    shown = cases.lesion_scores_Q
    called = shown >= point.threshold
    np.testing.assert_allclose(point.sensitivity, called[strokes == 1].mean())
    np.testing.assert_allclose(point.specificity, 1 - called[strokes == 0].mean())
    assert point.specificity >= least
    for threshold in [*np.unique(shown), 2.0]:
        others = shown >= threshold
        if 1 - others[strokes == 0].mean() >= least:
            assert others[strokes == 1].mean() <= point.sensitivity + 1e-12
