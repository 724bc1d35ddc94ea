"""Every figure of a set of cases, in each sample of a bootstrap: what an encoder is judged by.

Retrieval figures have the rank in their name and mAP its normalisation. "any lesion" is normal
against the three stroke classes: called by the likeliest class, "at threshold" by the operating
point, "own" by a threshold read from these very cases, which flatters. ">= 1 ml" leaves out
smaller strokes and keeps all normals.

Axis suffixes: S samples (rows of weights, see `intervals`), Q cases.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from pirta.contracts.finding import LABELS
from pirta.evaluation import calibration
from pirta.evaluation import classification_metrics as classes
from pirta.evaluation import retrieval_metrics as retrieval
from pirta.evaluation.embedded_cases import EmbeddedCases
from pirta.evaluation.intervals import Sampled, Weights, sampled_mean, weighted_mean
from pirta.evaluation.neighbour_hits import NeighbourHits
from pirta.evaluation.retrieval_metrics import Normalisation

LARGE_ML = 1.0


@dataclass(frozen=True)
class Judgement:
    """What turns probabilities into calls, and how the figures are cut.

    Attributes:
        ranks: n and k of the retrieval figures.
        least_specificity: that a threshold has to keep.
        threshold: of the probability of any lesion; None where no operating point is known.
        temperature: divides the logits; None where none was fitted.
        num_bins: of the calibration error.
    """

    ranks: tuple[int, ...] = (1, 3, 5, 10)
    least_specificity: float = 0.95
    threshold: float | None = None
    temperature: float | None = None
    num_bins: int = 10


def figure_values(
    cases: EmbeddedCases, hits: NeighbourHits, weights_SQ: Weights, judgement: Judgement
) -> dict[str, Sampled]:
    """Return each figure's values, `(S,)`, by its name."""
    return {
        **_retrieval_figures(cases, hits, weights_SQ, judgement.ranks),
        **_class_figures(cases, weights_SQ),
        **_lesion_figures(cases, weights_SQ, judgement),
        **_calibration_figures(cases, weights_SQ, judgement),
    }


def _retrieval_figures(
    cases: EmbeddedCases, hits: NeighbourHits, weights_SQ: Weights, ranks: tuple[int, ...]
) -> dict[str, Sampled]:
    values_Q = {}
    for k in ranks:
        values_Q[f"precision@{k}"] = retrieval.precision_at(hits.relevant_QN, k)
    for k in ranks:
        values_Q[f"any-hit Acc@{k}"] = retrieval.any_hit_at(hits.relevant_QN, k)
    for kind in Normalisation:
        for n in ranks:
            values_Q[f"mAP@{n} / {kind}"] = retrieval.average_precision_at(
                hits.relevant_QN, n, hits.num_relevant_Q, kind
            )
    figures = {
        name: sampled_mean(values, cases.patient_ids, weights_SQ)
        for name, values in values_Q.items()
    }
    # Data with other shares of the classes compare by the mean of the classes.
    first_Q = values_Q[f"precision@{ranks[0]}"]
    of_class = [
        weighted_mean(np.where(cases.truths_Q == number, first_Q, math.nan), weights_SQ)
        for number in range(len(LABELS))
    ]
    figures[f"precision@{ranks[0]}, mean of classes"] = Sampled(classes.mean_of_defined(of_class))
    return figures


def _class_figures(cases: EmbeddedCases, weights_SQ: Weights) -> dict[str, Sampled]:
    truth_Q, called_Q = cases.truths_Q, cases.called_Q
    matrix_SKK = classes.confusions(truth_Q, called_Q, weights_SQ, num_classes=len(LABELS))
    figures = {
        "accuracy": sampled_mean(
            (truth_Q == called_Q).astype(float), cases.patient_ids, weights_SQ
        ),
        "balanced accuracy": Sampled(classes.balanced_accuracy(matrix_SKK)),
        "macro-F1": Sampled(classes.macro_f1(matrix_SKK)),
    }
    for number, label in enumerate(LABELS):
        is_class_Q, right_Q = truth_Q == number, (called_Q == number) == (truth_Q == number)
        figures |= _two_way(cases, weights_SQ, is_class_Q, right_Q, str(label))
        figures[f"{label}: one-vs-rest accuracy"] = sampled_mean(
            right_Q.astype(float), cases.patient_ids, weights_SQ
        )
    return figures


def _lesion_figures(
    cases: EmbeddedCases, weights_SQ: Weights, judgement: Judgement
) -> dict[str, Sampled]:
    figures: dict[str, Sampled] = {}
    large_Q = ~cases.is_stroke_Q | (cases.lesion_ml_Q >= LARGE_ML)
    for name, kept_Q in (("any lesion", None), (f"any lesion >= {LARGE_ML:g} ml", large_Q)):
        some = cases if kept_Q is None else cases.take(kept_Q)
        weights = weights_SQ if kept_Q is None else weights_SQ[:, kept_Q]
        is_stroke_Q, scores_Q = some.is_stroke_Q, some.lesion_scores_Q
        right_Q = (some.called_Q > 0) == is_stroke_Q
        figures |= _two_way(some, weights, is_stroke_Q, right_Q, name)
        figures[f"{name}: AUROC"] = Sampled(classes.auroc(is_stroke_Q, scores_Q, weights))
        least = judgement.least_specificity
        figures[f"{name}: sensitivity at own specificity {least:g}"] = Sampled(
            classes.sensitivity_at(is_stroke_Q, scores_Q, weights, least_specificity=least)
        )
        if judgement.threshold is not None:
            right_Q = (scores_Q >= judgement.threshold) == is_stroke_Q
            figures |= _two_way(some, weights, is_stroke_Q, right_Q, f"{name} at threshold")
    return figures


def _two_way(
    cases: EmbeddedCases,
    weights_SQ: Weights,
    is_class_Q: classes.Calls,
    right_Q: classes.Calls,
    name: str,
) -> dict[str, Sampled]:
    """Return sensitivity and specificity of calling cases this class."""
    right = right_Q.astype(np.float64)
    kinds = {
        "sensitivity": np.where(is_class_Q, right, math.nan),
        "specificity": np.where(is_class_Q, math.nan, right),
    }
    return {
        f"{name}: {kind}": sampled_mean(values, cases.patient_ids, weights_SQ)
        for kind, values in kinds.items()
    }


def _calibration_figures(
    cases: EmbeddedCases, weights_SQ: Weights, judgement: Judgement
) -> dict[str, Sampled]:
    kinds = {"": cases.probabilities_QK}
    if judgement.temperature is not None:
        kinds[", temperature scaled"] = calibration.scale(
            cases.probabilities_QK, judgement.temperature
        )
    figures: dict[str, Sampled] = {}
    for suffix, probabilities_QK in kinds.items():
        error_S = calibration.expected_calibration_error(
            cases.truths_Q, probabilities_QK, weights_SQ, num_bins=judgement.num_bins
        )
        scores_Q = calibration.brier_scores(cases.truths_Q, probabilities_QK)
        figures[f"ECE{suffix}"] = Sampled(error_S)
        figures[f"Brier score{suffix}"] = Sampled(weighted_mean(scores_Q, weights_SQ))
    return figures
