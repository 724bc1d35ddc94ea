"""An index in memory that compares with every row: slow, obvious, and the oracle for the others.

Axis suffixes: N rows, D embedding dimensions.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pirta.contracts.encoding import SearchRequest
from pirta.contracts.report import RetrievedCase
from pirta.errors import ReleaseError
from pirta.retrieval.index import IndexRow, check_embedding


class ExactIndex:
    """Keeps rows in dictionaries; equal similarities are ordered by case id."""

    def __init__(self) -> None:
        self._rows: dict[str, dict[str, IndexRow]] = {}
        self._dimensions: dict[str, int] = {}

    def create(self, collection: str, dimensions: int) -> None:
        """Make an empty collection; one of the same name is dropped first."""
        self._rows[collection] = {}
        self._dimensions[collection] = dimensions

    def upsert(self, collection: str, rows: Sequence[IndexRow]) -> None:
        """Write rows by case id."""
        known = self._known(collection)
        for row in rows:
            check_embedding(
                row.embedding_D, dimensions=self._dimensions[collection], whose=row.case_id
            )
        known.update({row.case_id: row for row in rows})

    def search(self, request: SearchRequest) -> tuple[RetrievedCase, ...]:
        """Return the nearest cases of other patients."""
        known = self._known(request.collection)
        dimensions = self._dimensions[request.collection]
        check_embedding(request.embedding_D, dimensions=dimensions, whose="the request")
        seen = [
            row
            for row in sorted(known.values(), key=lambda row: row.case_id)
            if request.exclude_patient_id is None or row.patient_id != request.exclude_patient_id
        ]
        if not seen:
            return ()
        rows_ND = np.stack([row.embedding_D for row in seen]).astype(np.float64)
        query_D = request.embedding_D.astype(np.float64)
        lengths_N = np.linalg.norm(rows_ND, axis=1) * np.linalg.norm(query_D)
        similarity_N = (rows_ND @ query_D) / lengths_N
        order = np.argsort(-similarity_N, kind="stable")[: request.top_k]
        return tuple(_retrieved(seen[at], float(similarity_N[at])) for at in order)

    def count(self, collection: str) -> int:
        """Return how many rows a collection holds."""
        return len(self._known(collection))

    def drop(self, collection: str) -> None:
        """Remove a collection."""
        self._known(collection)
        del self._rows[collection], self._dimensions[collection]

    def _known(self, collection: str) -> dict[str, IndexRow]:
        if collection not in self._rows:
            raise ReleaseError(
                f"The index holds no collection '{collection}'.",
                remedy="Build the index, or serve a release whose collection exists.",
            )
        return self._rows[collection]


def _retrieved(row: IndexRow, similarity: float) -> RetrievedCase:
    return RetrievedCase(
        case_id=row.case_id,
        site=row.site,
        similarity=similarity,
        label=row.label,
        finding=row.finding,
        findings_text=row.findings_text,
    )
