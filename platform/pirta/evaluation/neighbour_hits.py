"""Which of a query's nearest index cases have its label; its own patient's scans never count.

Axis suffixes: Q queries, R index rows, N the first n neighbours (most similar first).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pirta.evaluation.embedded_cases import EmbeddedCases
from pirta.evaluation.retrieval_metrics import rank_neighbours

_QUERIES_AT_ONCE = 256  # a block of similarities to 40,000 index rows is 80 MB


@dataclass(frozen=True)
class NeighbourHits:
    """What retrieval found.

    Attributes:
        relevant_QN: True where a neighbour has the query's label.
        num_relevant_Q: index cases of the query's label, other patients only.
    """

    relevant_QN: NDArray[np.bool_]
    num_relevant_Q: NDArray[np.int64]

    def take(self, rows: NDArray[np.int64] | NDArray[np.bool_]) -> NeighbourHits:
        """Return some of the queries."""
        return NeighbourHits(self.relevant_QN[rows], self.num_relevant_Q[rows])


def find_hits(
    queries: EmbeddedCases, index: EmbeddedCases, *, num_neighbours: int
) -> NeighbourHits:
    """Return the hits among each query's first neighbours."""
    parts = [
        _hits_of(queries.take(np.arange(start, stop)), index, num_neighbours)
        for start in range(0, len(queries), _QUERIES_AT_ONCE)
        for stop in [min(start + _QUERIES_AT_ONCE, len(queries))]
    ]
    return NeighbourHits(
        np.concatenate([part.relevant_QN for part in parts]),
        np.concatenate([part.num_relevant_Q for part in parts]),
    )


def _hits_of(queries: EmbeddedCases, index: EmbeddedCases, num_neighbours: int) -> NeighbourHits:
    own_QR = queries.patient_ids[:, None] == index.patient_ids[None, :]
    same_QR = (queries.truths_Q[:, None] == index.truths_Q[None, :]) & ~own_QR
    ranks_QR = rank_neighbours(queries.embeddings_QD, index.embeddings_QD, excluded_QR=own_QR)
    first_QN = ranks_QR[:, :num_neighbours]
    return NeighbourHits(np.take_along_axis(same_QR, first_QN, axis=1), same_QR.sum(axis=1))
