"""How good the neighbours are: precision@k, any-hit accuracy@k and mean average precision@n.

The paper's formulas do not give the paper's numbers (AP@n divided by all relevant cases could
not reach 0.94 at n = 1; Acc@k as a sum of hits can exceed 1), so each normalisation has a name
and a table says which one it uses.

Axis suffixes: Q queries, R index rows, N the first n neighbours (most similar first), D
embedding. `relevant` is True where a neighbour has the query's label.
"""

from __future__ import annotations

import math
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

Hits = NDArray[np.bool_]
Values = NDArray[np.float64]


class Normalisation(StrEnum):
    """What average precision at n is divided by.

    ALL_RELEVANT: every relevant case of the index (the paper's formula).
    REACHABLE: min(n, relevant cases): 1 is the best that n neighbours can give.
    RETRIEVED: the relevant cases among the n; 0 where there are none.
    """

    ALL_RELEVANT = "all relevant"
    REACHABLE = "min(n, relevant)"
    RETRIEVED = "relevant retrieved"


def rank_neighbours(
    queries_QD: NDArray[np.float32],
    index_RD: NDArray[np.float32],
    *,
    excluded_QR: Hits | None = None,
) -> NDArray[np.int_]:
    """Return index rows by falling cosine similarity, shape `(Q, R)`; ties by row number.

    Embeddings are unit length. Excluded pairs (the query's own patient) come last; leave them
    out by `relevant_hits`.
    """
    similarity_QR = queries_QD.astype(np.float64) @ index_RD.astype(np.float64).T
    if excluded_QR is not None:
        similarity_QR = np.where(excluded_QR, -np.inf, similarity_QR)
    return np.argsort(-similarity_QR, axis=1, kind="stable")


def precision_at(relevant_QN: Hits, k: int) -> Values:
    """Return each query's share of relevant cases among its first k neighbours.

    With fewer than k neighbours the missing ones count as wrong; with none it is NaN.
    """
    _check(k)
    if relevant_QN.shape[1] == 0:
        return np.full(len(relevant_QN), math.nan)
    return np.asarray(relevant_QN[:, :k].sum(axis=1) / k)


def any_hit_at(relevant_QN: Hits, k: int) -> Values:
    """Return 1 for each query with a relevant case among its first k neighbours, else 0."""
    _check(k)
    if relevant_QN.shape[1] == 0:
        return np.full(len(relevant_QN), math.nan)
    return np.asarray(relevant_QN[:, :k].any(axis=1), dtype=np.float64)


def average_precision_at(
    relevant_QN: Hits, n: int, num_relevant_Q: NDArray[np.int_], normalisation: Normalisation
) -> Values:
    """Return each query's average precision over its first n neighbours.

    Args:
        num_relevant_Q: relevant cases in the whole index. A query with none has no average
            precision (NaN).
    """
    _check(n)
    first = relevant_QN[:, :n]
    precision = np.cumsum(first, axis=1) / np.arange(1, first.shape[1] + 1)
    total = (precision * first).sum(axis=1)
    divisor = {
        Normalisation.ALL_RELEVANT: num_relevant_Q,
        Normalisation.REACHABLE: np.minimum(n, num_relevant_Q),
        Normalisation.RETRIEVED: np.maximum(first.sum(axis=1), 1),
    }[normalisation]
    known_Q = num_relevant_Q > 0
    average: Values = np.full(len(relevant_QN), math.nan)
    average[known_Q] = (total / np.maximum(divisor, 1))[known_Q]
    return average


def _check(k: int) -> None:
    if k < 1:
        raise ValueError(f"k must be at least 1, not {k}")
