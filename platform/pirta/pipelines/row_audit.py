"""What the rows of a collection are, read back from the index in one pass.

Rows that the release was built from are counted and hashed; those that were added live are only
counted. Every row is looked at for identifying details, and some vectors are kept to ask with.

Axis suffixes: Q queries, D embedding dimensions.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pirta.pipelines.cohort_rows import row_phi
from pirta.retrieval.index import IndexRow, rows_sha256

# A query leans to one row and away from it to another: not a row itself, and where rows are.
_LEANING = 0.7


@dataclass(frozen=True)
class RowAudit:
    """What one pass over a collection found.

    Attributes:
        num_build, num_live: rows by origin.
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
    reader = _Reader(2 * num_queries, random.Random(seed))
    build_sha256 = rows_sha256(reader.read(rows))
    return RowAudit(
        num_build=reader.num_rows - reader.num_live,
        num_live=reader.num_live,
        build_sha256=build_sha256,
        phi=tuple(reader.phi),
        queries_QD=_between(reader.sampled(), num_queries),
    )


class _Reader:
    """Looks at each row as it passes by."""

    def __init__(self, sample_size: int, chance: random.Random) -> None:
        self._sample_size, self._chance = sample_size, chance
        self._sample: list[IndexRow] = []
        self.num_rows = self.num_live = 0
        self.phi: list[tuple[str, tuple[str, ...]]] = []

    def read(self, rows: Iterable[IndexRow]) -> Iterator[IndexRow]:
        """Take in every row, and pass those on that the release was built from."""
        for row in rows:
            self.num_rows += 1
            self._draw(row)
            if kinds := row_phi(row):
                self.phi.append((row.case_id, kinds))
            if row.origin == "live":
                self.num_live += 1
            else:
                yield row

    def sampled(self) -> list[NDArray[np.float32]]:
        """Return the sample's vectors, in an order of chance."""
        self._chance.shuffle(self._sample)
        return [row.embedding_D for row in self._sample]

    def _draw(self, row: IndexRow) -> None:
        """Keep each row of any number with the same chance (reservoir sampling)."""
        if len(self._sample) < self._sample_size:
            self._sample.append(row)
        elif (place := self._chance.randrange(self.num_rows)) < self._sample_size:
            self._sample[place] = row


def _between(vectors: list[NDArray[np.float32]], num_queries: int) -> NDArray[np.float32]:
    pairs = list(zip(vectors, vectors[1:] + vectors[:1], strict=True))[:num_queries]
    if not pairs:
        return np.empty((0, 0), np.float32)
    queries_QD = np.stack([_LEANING * near + (1 - _LEANING) * far for near, far in pairs])
    lengths_Q1 = np.linalg.norm(queries_QD, axis=1, keepdims=True)
    return np.asarray(queries_QD / lengths_Q1, np.float32)
