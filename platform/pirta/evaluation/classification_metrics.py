"""How good the classes are, in each sample of a bootstrap at once.

The paper's "class-wise accuracy" is one-vs-rest, where never saying "posterior" scores well;
sensitivity and specificity stand beside it here. A figure without cases is NaN, never 0.
scikit-learn has the same figures for one sample; the tests hold these against it.

Axis suffixes: S samples (rows of weights, see `intervals`), Q cases, K classes: in a matrix
first the truth, then what was called; U different scores. Leading axes may be left out.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from pirta.evaluation.intervals import Values, Weights, share

Classes = NDArray[np.int64]
Matrices = NDArray[np.float64]
Calls = NDArray[np.bool_]


def confusion(truth_Q: Classes, called_Q: Classes, *, num_classes: int) -> NDArray[np.int64]:
    """Return counts, shape `(K, K)`."""
    ones = np.ones((1, len(truth_Q)))
    matrix_SKK = confusions(truth_Q, called_Q, ones, num_classes=num_classes)
    return np.asarray(matrix_SKK[0], dtype=np.int64)


def confusions(
    truth_Q: Classes, called_Q: Classes, weights_SQ: Weights, *, num_classes: int
) -> Matrices:
    """Return the weighted counts of each sample, shape `(S, K, K)`."""
    if truth_Q.shape != called_Q.shape:
        raise ValueError(f"{truth_Q.shape} truths for {called_Q.shape} calls")
    pair_Q = truth_Q * num_classes + called_Q
    flat = weights_SQ @ np.eye(num_classes * num_classes)[pair_Q]
    return np.asarray(flat.reshape(-1, num_classes, num_classes))


def sensitivity(matrix_SKK: Matrices, index: int) -> Values:
    """Return the share of a class that was called so."""
    return share(matrix_SKK[..., index, index], matrix_SKK[..., index, :].sum(axis=-1))


def specificity(matrix_SKK: Matrices, index: int) -> Values:
    """Return the share of the other classes that was not called this one."""
    others = np.delete(matrix_SKK, index, axis=-2)
    whole = others.sum(axis=(-2, -1))
    return share(whole - others[..., index].sum(axis=-1), whole)


def accuracy(matrix_SKK: Matrices) -> Values:
    """Return the share of cases called what they are."""
    return share(np.trace(matrix_SKK, axis1=-2, axis2=-1), matrix_SKK.sum(axis=(-2, -1)))


def one_vs_rest_accuracy(matrix_SKK: Matrices, index: int) -> Values:
    """Return the paper's class-wise Acc@1: right about being this class or not."""
    whole = matrix_SKK.sum(axis=(-2, -1))
    either = matrix_SKK[..., index, :].sum(axis=-1) + matrix_SKK[..., index].sum(axis=-1)
    return share(whole - either + 2 * matrix_SKK[..., index, index], whole)


def balanced_accuracy(matrix_SKK: Matrices) -> Values:
    """Return the mean sensitivity of the classes that occur."""
    num_classes = matrix_SKK.shape[-1]
    return mean_of_defined([sensitivity(matrix_SKK, index) for index in range(num_classes)])


def macro_f1(matrix_SKK: Matrices) -> Values:
    """Return the mean F1 of the classes that occur as truth or as call."""
    scores = []
    for index in range(matrix_SKK.shape[-1]):
        either = matrix_SKK[..., index, :].sum(axis=-1) + matrix_SKK[..., index].sum(axis=-1)
        scores.append(share(2 * matrix_SKK[..., index, index], either))
    return mean_of_defined(scores)


def any_lesion(matrix_SKK: Matrices) -> Matrices:
    """Return the 2 by 2 counts of normal (class 0) against any lesion."""
    rows = np.stack([matrix_SKK[..., 0, :], matrix_SKK[..., 1:, :].sum(axis=-2)], axis=-2)
    return np.stack([rows[..., 0], rows[..., 1:].sum(axis=-1)], axis=-1)


def auroc(is_positive_Q: NDArray[np.bool_], scores_Q: Values, weights_SQ: Weights) -> Values:
    """Return the area under the ROC curve of each sample, `(S,)`; ties count half.

    That is the chance that a positive case scores above a negative one. NaN without both.
    """
    if not len(scores_Q):
        return np.full(len(weights_SQ), math.nan)
    order = np.argsort(scores_Q, kind="stable")
    starts = np.flatnonzero(np.diff(scores_Q[order], prepend=-np.inf) > 0)
    sorted_SQ = weights_SQ[:, order]
    positive_SU = np.add.reduceat(sorted_SQ * is_positive_Q[order], starts, axis=1)
    negative_SU = np.add.reduceat(sorted_SQ * ~is_positive_Q[order], starts, axis=1)
    below_SU = np.cumsum(negative_SU, axis=1) - negative_SU / 2
    pairs = positive_SU.sum(axis=1) * negative_SU.sum(axis=1)
    return share((positive_SU * below_SU).sum(axis=1), pairs)


def sensitivity_at(
    is_positive_Q: NDArray[np.bool_],
    scores_Q: Values,
    weights_SQ: Weights,
    *,
    least_specificity: float,
) -> Values:
    """Return the best sensitivity of any threshold that keeps the specificity, `(S,)`.

    Each sample has a threshold of its own, read from its own ROC curve: what could be had, not
    what a threshold chosen elsewhere gives. NaN without both kinds.
    """
    if not len(scores_Q):
        return np.full(len(weights_SQ), math.nan)
    order = np.argsort(-scores_Q, kind="stable")
    ends = np.flatnonzero(np.diff(scores_Q[order], append=-np.inf) < 0)
    sorted_SQ = weights_SQ[:, order]
    caught_SU = np.cumsum(sorted_SQ * is_positive_Q[order], axis=1)[:, ends]
    false_SU = np.cumsum(sorted_SQ * ~is_positive_Q[order], axis=1)[:, ends]
    positives_S, negatives_S = caught_SU[:, -1], false_SU[:, -1]
    most_false_S = (1 - least_specificity) * negatives_S + 1e-9
    best_S = np.where(false_SU <= most_false_S[:, None], caught_SU, 0.0).max(axis=1)
    return share(np.where(negatives_S > 0, best_S, math.nan), positives_S)


def mean_of_defined(parts: list[Values]) -> Values:
    """Return the mean of the parts that are defined, in each sample; NaN where none is."""
    values = np.stack(parts)
    known = ~np.isnan(values)
    return share(np.where(known, values, 0.0).sum(axis=0), known.sum(axis=0).astype(float))
