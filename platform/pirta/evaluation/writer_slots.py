"""A report's finding as slots to fill: how well each is filled, as F1, and which have no source.

The slots are those of the paper's sentence, the side, and the negation ("no restriction"). F1 is
over all cases together: a value that is stated and true is a hit; stated and not true is a false
one, also where the study is normal; true and not stated is a missed one, also where the report
abstains or is out of form. The answer's form names no side today: the figure of a slot that
nobody fills is not defined.

Axis suffixes: S samples (rows of weights, see `intervals`), Q cases.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from pirta.contracts.finding import Finding, label_of
from pirta.evaluation.intervals import Sampled, Weights, share
from pirta.evaluation.writer_reports import ToldReport, WriterCase

NEGATION = "negation"

SLOTS: dict[str, Callable[[Finding], object]] = {
    "class": lambda finding: finding.lesion_class,
    "type": lambda finding: finding.infarct_type,
    "territory": lambda finding: finding.territory,
    "laterality": lambda finding: finding.laterality,
}


def slot_f1(
    cases: Sequence[WriterCase], told: Sequence[ToldReport], weights_SQ: Weights
) -> dict[str, Sampled]:
    """Return each slot's F1, by its name."""
    pairs = list(zip(cases, told, strict=True))
    figures = {}
    for name, value_of in SLOTS.items():
        truths = [None if case.truth is None else value_of(case.truth) for case, _ in pairs]
        stated = [None if one.finding is None else value_of(one.finding) for _, one in pairs]
        figures[name] = _f1(truths, stated, weights_SQ)
    truths = [True if case.truth is None else None for case, _ in pairs]
    stated = [True if one.states and one.finding is None else None for _, one in pairs]
    figures[NEGATION] = _f1(truths, stated, weights_SQ)
    return figures


def statements(case: WriterCase, told: ToldReport) -> tuple[int, int]:
    """Return how many statements a report makes, and how many of them no source names.

    A normal study is one statement, a lesion three (label, class, type). A neighbour is a source
    of what its finding says, the classifier of its label. This asks for less than the grounding
    rules do, and is counted without them.
    """
    if not told.states:
        return 0, 0
    lesions = [near.finding for near in case.evidence if near.finding is not None]
    labels = {near.label for near in case.evidence} | {case.encoder_label}
    without = int(label_of(told.finding) not in labels)
    if told.finding is None:
        return 1, without
    without += told.finding.lesion_class not in {one.lesion_class for one in lesions}
    without += told.finding.infarct_type not in {one.infarct_type for one in lesions}
    return 3, without


def _f1(truths: Sequence[object], stated: Sequence[object], weights_SQ: Weights) -> Sampled:
    hits_Q, false_Q, missed_Q = (np.zeros(len(truths)) for _ in range(3))
    for row, (truth, value) in enumerate(zip(truths, stated, strict=True)):
        hits_Q[row] = truth is not None and value == truth
        false_Q[row] = value is not None and value != truth
        missed_Q[row] = truth is not None and value != truth
    if not any(value is not None for value in stated):
        return Sampled(np.full(len(weights_SQ), math.nan))
    doubled_S = 2 * (weights_SQ @ hits_Q)
    return Sampled(share(doubled_S, doubled_S + weights_SQ @ (false_Q + missed_Q)))
