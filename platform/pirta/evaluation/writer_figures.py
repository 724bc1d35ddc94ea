"""Every figure of one system on a set of cases, in each sample of a bootstrap.

"Territory" is the label of the text, one of four with normal. A system that abstains has two
accuracies: over all cases, where an abstention (or a text out of form) is no right answer, and
among the reports that state something. Coverage says how many those are. Field fidelity is of
texts in form.

Axis suffixes: S samples (rows of weights, see `intervals`), Q cases.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from pirta.contracts.finding import finding_sentence
from pirta.evaluation.intervals import Sampled, Weights, sampled_mean, share
from pirta.evaluation.writer_form import keeps_registry
from pirta.evaluation.writer_reports import ToldReport, WriterCase
from pirta.evaluation.writer_slots import slot_f1, statements

ACCURACY = "territory Acc@1, of all"
SELECTIVE = "territory Acc@1, of stated"
COVERAGE = "coverage (states something)"
SENTENCE = "whole sentence right, of all"
SENTENCE_SELECTIVE = "whole sentence right, of stated"
RETRIEVAL = "image-retrieval Acc@1"
FORM = "format validity"
FIDELITY = "field fidelity"
CONTRADICTION = "contradiction rate"
UNSOURCED = "unsupported-statement rate"
SLOT = "slot-F1: "

Values = dict[str, Sampled]


def system_values(
    cases: Sequence[WriterCase], told: Sequence[ToldReport], weights_SQ: Weights
) -> Values:
    """Return each figure's values, `(S,)`, by its name."""
    patient_ids = np.array([case.patient_id for case in cases])
    pairs = list(zip(cases, told, strict=True))

    def mean(
        value: Callable[[WriterCase, ToldReport], bool], *, of_stated: bool = False
    ) -> Sampled:
        values_Q = [
            float(value(case, one)) if one.states or not of_stated else math.nan
            for case, one in pairs
        ]
        return sampled_mean(np.array(values_Q), patient_ids, weights_SQ)

    figures = {
        RETRIEVAL: mean(lambda case, _: case.evidence[0].label is case.label),
        ACCURACY: mean(lambda case, one: one.is_right(case)),
        SELECTIVE: mean(lambda case, one: one.is_right(case), of_stated=True),
        COVERAGE: mean(lambda _, one: one.states),
        SENTENCE: mean(_is_same_sentence),
        SENTENCE_SELECTIVE: mean(_is_same_sentence, of_stated=True),
        FORM: mean(lambda _, one: one.read is not None),
        FIDELITY: _fidelity(pairs, patient_ids, weights_SQ),
        CONTRADICTION: mean(lambda _, one: bool(one.contradictions), of_stated=True),
    }
    counts_Q2 = np.array([statements(case, one) for case, one in pairs], float)
    made_S, without_S = weights_SQ @ counts_Q2[:, 0], weights_SQ @ counts_Q2[:, 1]
    num_stating = len({case.patient_id for case, one in pairs if one.states})
    figures[UNSOURCED] = Sampled(share(without_S, made_S), num_stating or None)
    slots = slot_f1(cases, told, weights_SQ)
    return figures | {f"{SLOT}{name}": value for name, value in slots.items()}


def _is_same_sentence(case: WriterCase, told: ToldReport) -> bool:
    return told.states and finding_sentence(told.finding) == finding_sentence(case.truth)


def _fidelity(
    pairs: Sequence[tuple[WriterCase, ToldReport]],
    patient_ids: NDArray[np.str_],
    weights_SQ: Weights,
) -> Sampled:
    kept_Q = [
        math.nan if one.read is None else float(keeps_registry(one.read, case.registry))
        for case, one in pairs
    ]
    return sampled_mean(np.array(kept_Q), patient_ids, weights_SQ)
