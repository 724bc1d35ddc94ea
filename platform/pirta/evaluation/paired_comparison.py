"""Two encoders on the same cases: is one better, or is it the draw of the cases?

Each encoder keeps its own index, threshold and temperature. Right-or-wrong answers are compared
by McNemar's exact test on the cases where the two disagree (it counts cases, so it takes scans
of one patient for independent), figures by the bootstrap of their difference: both are measured
on the very same resampled patients.

Axis suffixes: S samples (rows of weights, see `intervals`), Q cases.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from pirta.errors import ManifestError
from pirta.evaluation.case_figures import Judgement, figure_values
from pirta.evaluation.embedded_cases import EmbeddedCases
from pirta.evaluation.intervals import Interval, Sampled, draw_weights
from pirta.evaluation.neighbour_hits import NeighbourHits


@dataclass(frozen=True)
class McNemar:
    """Right answers of one encoder against those of another.

    Attributes:
        only_first, only_second: cases that only this one answers rightly.
        p_value: exact, two-sided; 1 where they never disagree.
    """

    both: int
    only_first: int
    only_second: int
    neither: int
    p_value: float


@dataclass(frozen=True)
class Comparison:
    """The first encoder less the second; positive is better for all but ECE and Brier score.

    Attributes:
        differences: by figure, with the interval of the paired bootstrap.
        answers: McNemar's test by kind of answer.
    """

    num_cases: int
    differences: dict[str, Interval]
    answers: dict[str, McNemar]


@dataclass(frozen=True)
class Judged:
    """One encoder's answers: its embedded queries, its hits, how it calls."""

    queries: EmbeddedCases
    hits: NeighbourHits
    judgement: Judgement


def compare(
    first: Judged, second: Judged, *, num_resamples: int = 1000, seed: int = 0
) -> Comparison:
    """Compare two encoders on the same queries, in the same order.

    Raises:
        ManifestError: the queries are not the same cases.
    """
    for column in ("datasets", "case_ids", "truths_Q"):
        ours, theirs = getattr(first.queries, column), getattr(second.queries, column)
        if len(ours) != len(theirs) or (ours != theirs).any():
            raise ManifestError(
                f"The two encoders were not measured on the same {len(ours)} cases "
                f"({len(theirs)} for the second; {column} differ).",
                remedy="Evaluate both on the same data.",
            )
    weights_SQ = draw_weights(first.queries.patient_ids, num_resamples=num_resamples, seed=seed)
    ours, theirs = (
        figure_values(one.queries, one.hits, weights_SQ, one.judgement) for one in (first, second)
    )
    ours_right, theirs_right = _right(first), _right(second)
    return Comparison(
        num_cases=len(first.queries),
        differences={
            name: Sampled(one.values_S - theirs[name].values_S).interval()
            for name, one in ours.items()
            if name in theirs
        },
        answers={
            name: mcnemar(ours_right[name], theirs_right[name])
            for name in ours_right
            if name in theirs_right
        },
    )


def mcnemar(first_Q: NDArray[np.bool_], second_Q: NDArray[np.bool_]) -> McNemar:
    """Return McNemar's exact test of right answers on the same cases."""
    only_first, only_second = int((first_Q & ~second_Q).sum()), int((second_Q & ~first_Q).sum())
    differ = only_first + only_second
    p_value = float(binomtest(only_first, differ, 0.5).pvalue) if differ else 1.0
    return McNemar(
        both=int((first_Q & second_Q).sum()),
        only_first=only_first,
        only_second=only_second,
        neither=int((~first_Q & ~second_Q).sum()),
        p_value=p_value,
    )


def _right(one: Judged) -> dict[str, NDArray[np.bool_]]:
    queries = one.queries
    answers = {
        "class": queries.called_Q == queries.truths_Q,
        "any lesion": (queries.called_Q > 0) == queries.is_stroke_Q,
    }
    if one.judgement.threshold is not None:
        calls_Q = queries.lesion_scores_Q >= one.judgement.threshold
        answers["any lesion at threshold"] = calls_Q == queries.is_stroke_Q
    if one.hits.relevant_QN.shape[1]:
        answers["precision@1"] = one.hits.relevant_QN[:, 0]
    return answers
