"""Made-up embeddings with the shape of real ones: many clusters in few directions, little noise.

An encoder's embeddings fill a small part of their 768 dimensions (labels, territories, scanners).
Rows spread evenly over all of them would be the hardest case for a graph index and like nothing
that is ever stored. Queries are cases that the index does not hold, near ones that it does.

Axis suffixes: N rows, Q queries, D embedding dimensions, L latent directions.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pirta.contracts.finding import NORMAL_SENTENCE, Label
from pirta.retrieval.index import IndexRow, patient_key

DIMENSIONS = 768
_LATENT = 32
_CLUSTERS = 64
_SPREAD = 0.6
_NOISE = 0.05


@dataclass(frozen=True)
class Embeddings:
    """The rows of an index and the queries to ask it."""

    rows_ND: NDArray[np.float32]
    queries_QD: NDArray[np.float32]


def make_embeddings(num_rows: int, num_queries: int) -> Embeddings:
    """Return unit rows and queries of one distribution; the same for the same numbers."""
    rng = np.random.default_rng(num_rows)
    directions_LD = rng.standard_normal((_LATENT, DIMENSIONS)).astype(np.float32)
    centres_L = rng.standard_normal((_CLUSTERS, _LATENT)).astype(np.float32)
    made_ND = np.empty((num_rows + num_queries, DIMENSIONS), dtype=np.float32)
    for start in range(0, len(made_ND), 50_000):
        part_ND = made_ND[start : start + 50_000]
        latent_NL = centres_L[rng.integers(0, _CLUSTERS, len(part_ND))]
        latent_NL = latent_NL + _SPREAD * rng.standard_normal(latent_NL.shape, dtype=np.float32)
        part_ND[:] = latent_NL @ directions_LD / np.sqrt(_LATENT)
        part_ND += _NOISE * rng.standard_normal(part_ND.shape, dtype=np.float32)
        part_ND /= np.linalg.norm(part_ND, axis=1, keepdims=True)
    return Embeddings(made_ND[:num_rows], made_ND[num_rows:])


def index_rows(rows_ND: NDArray[np.float32], *, at_once: int = 5_000) -> Iterator[list[IndexRow]]:
    """Yield the rows of an index in pieces: a patient a row, five sites."""
    for start in range(0, len(rows_ND), at_once):
        yield [
            IndexRow(
                case_id=f"case{at:07d}",
                patient_key=patient_key(f"patient{at}"),
                site=f"site{at % 5}",
                scanner="bench",
                label=Label.NORMAL,
                finding=None,
                findings_text=NORMAL_SENTENCE,
                report_text="",
                origin="build",
                release_id="",
                added_on="2026-01-01",
                embedding_D=rows_ND[at],
            )
            for at in range(start, min(start + at_once, len(rows_ND)))
        ]
