"""What the rows of a collection are, read back from the index in one pass.

Rows that the release was built from are counted and hashed; those that were added live are only
counted. Every row is looked at for identifying details, and some vectors are kept to ask with.

Axis suffixes: Q queries, D embedding dimensions.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pirta.pipelines.cohort_rows import row_phi
from pirta.retrieval.index import IndexRow, RowsDigest

# A query leans to one row and away from it to another: not a row itself, and where rows are.
_LEANING = 0.7


@dataclass(frozen=True)
class RowAudit:
    """What one pass over a collection found.

    Attributes:
        build_sha256: of the rows of origin "build", as a record's `index_sha256`.
        phi: case id and kinds of each row that seems to identify a person.
        queries_QD: unit vectors among the rows, none of them a row; the same for the same seed.
    """

    num_build: int
    num_live: int
    build_sha256: str
    phi: tuple[tuple[str, tuple[str, ...]], ...]
    queries_QD: NDArray[np.float32]


def audit_rows(rows: Iterable[IndexRow], *, num_queries: int, seed: int) -> RowAudit:
    """Return what is in the rows, holding none but a sample of vectors."""
    chance = random.Random(seed)
    digest, num_live, phi = RowsDigest(), 0, []
    sample: list[NDArray[np.float32]] = []
    for number, row in enumerate(rows):
        if row.origin == "build":
            digest.add(row)
        else:
            num_live += 1
        if kinds := row_phi(row):
            phi.append((row.case_id, kinds))
        if len(sample) < 2 * num_queries:
            sample.append(row.embedding_D)
        elif (place := chance.randrange(number + 1)) < len(sample):
            sample[place] = row.embedding_D
    return RowAudit(
        num_build=digest.num_rows,
        num_live=num_live,
        build_sha256=digest.hexdigest(),
        phi=tuple(phi),
        queries_QD=_between(sample, num_queries, chance),
    )


def _between(
    vectors: list[NDArray[np.float32]], num_queries: int, chance: random.Random
) -> NDArray[np.float32]:
    chance.shuffle(vectors)
    pairs = zip(vectors, vectors[1:] + vectors[:1], strict=True)
    queries = [_LEANING * near + (1 - _LEANING) * far for near, far in list(pairs)[:num_queries]]
    if not queries:
        return np.empty((0, 0), np.float32)
    queries_QD = np.stack(queries)
    lengths_Q = np.linalg.norm(queries_QD, axis=1, keepdims=True)
    return np.asarray(queries_QD / np.maximum(lengths_Q, 1e-12), np.float32)
