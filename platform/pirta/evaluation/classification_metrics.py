"""How good the classes are: confusion, sensitivity, specificity, balanced accuracy.

The paper's "class-wise accuracy" is one-vs-rest, where never saying "posterior" scores well;
sensitivity and specificity stand beside it here. A figure without cases is NaN, never 0.

Axis suffixes: K classes, first the truth, then what was called.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Classes = NDArray[np.int_]


def confusion(truth: Classes, called: Classes, *, num_classes: int) -> NDArray[np.int_]:
    """Return counts, shape `(K, K)`: rows the truth, columns what was called."""
    if truth.shape != called.shape:
        raise ValueError(f"{truth.shape} truths for {called.shape} calls")
    flat = np.bincount(truth * num_classes + called, minlength=num_classes * num_classes)
    return flat.reshape(num_classes, num_classes)


def sensitivity(matrix_KK: NDArray[np.int_], index: int) -> float:
    """Return the share of a class that was called so."""
    return _share(matrix_KK[index, index], matrix_KK[index].sum())


def specificity(matrix_KK: NDArray[np.int_], index: int) -> float:
    """Return the share of the other classes that was not called this one."""
    others = np.delete(matrix_KK, index, axis=0)
    return _share(others.sum() - others[:, index].sum(), others.sum())


def one_vs_rest_accuracy(matrix_KK: NDArray[np.int_], index: int) -> float:
    """Return the paper's class-wise Acc@1: right about being this class or not."""
    wrong = matrix_KK[index].sum() + matrix_KK[:, index].sum() - 2 * matrix_KK[index, index]
    return _share(matrix_KK.sum() - wrong, matrix_KK.sum())


def balanced_accuracy(matrix_KK: NDArray[np.int_]) -> float:
    """Return the mean sensitivity of the classes that occur."""
    present = [index for index in range(len(matrix_KK)) if matrix_KK[index].sum() > 0]
    if not present:
        return math.nan
    return float(np.mean([sensitivity(matrix_KK, index) for index in present]))


def any_lesion(matrix_KK: NDArray[np.int_]) -> NDArray[np.int_]:
    """Return the 2 by 2 counts of normal (class 0) against any lesion."""
    return np.array(
        [
            [matrix_KK[0, 0], matrix_KK[0, 1:].sum()],
            [matrix_KK[1:, 0].sum(), matrix_KK[1:, 1:].sum()],
        ]
    )


def _share(part: np.int_, whole: np.int_) -> float:
    return float(part) / float(whole) if whole else math.nan
