"""What an index of verified cases can do, whatever holds it.

Axis suffixes: N rows, D embedding dimensions. Embeddings are float32 of unit length; the
similarity is their cosine. A collection is one physical set of rows: it is made once, filled,
and then only read.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pirta.contracts.encoding import SearchRequest
from pirta.contracts.finding import Finding, Label
from pirta.contracts.report import RetrievedCase
from pirta.errors import IndexRequestError


@dataclass(frozen=True)
class IndexRow:
    """A verified case as it lies in the index. Ids are pseudonyms."""

    case_id: str
    patient_id: str
    site: str
    label: Label
    finding: Finding | None
    findings_text: str
    embedding_D: NDArray[np.float32]


class Index(Protocol):
    """Holds collections of rows and finds the nearest ones.

    Every method raises `UnavailableError` where the store does not answer, and all but `create`
    raise `ReleaseError` for an unknown collection.
    """

    def create(self, collection: str, dimensions: int) -> None:
        """Make an empty collection; one of the same name is dropped first."""
        ...

    def upsert(self, collection: str, rows: Sequence[IndexRow]) -> None:
        """Write rows; a row of a known `case_id` replaces the old one.

        Raises:
            IndexRequestError: an embedding's length is wrong, or it is not finite.
        """
        ...

    def search(self, request: SearchRequest) -> tuple[RetrievedCase, ...]:
        """Return at most `top_k` cases of other patients, nearest first.

        Raises:
            IndexRequestError: the embedding's length is wrong, or it is not finite.
        """
        ...

    def count(self, collection: str) -> int:
        """Return how many rows a collection holds."""
        ...

    def drop(self, collection: str) -> None:
        """Remove a collection."""
        ...


def check_embedding(embedding_D: NDArray[np.float32], *, dimensions: int, whose: str) -> None:
    """Raise IndexRequestError unless the embedding is a finite, non-zero row of `dimensions`."""
    if embedding_D.shape != (dimensions,):
        raise IndexRequestError(
            f"The embedding of {whose} has the shape {embedding_D.shape}, "
            f"the collection takes ({dimensions},).",
            remedy="Use the encoder that the collection was built with.",
        )
    if not np.isfinite(embedding_D).all() or not np.any(embedding_D):
        raise IndexRequestError(
            f"The embedding of {whose} holds NaN or infinite values, or only zeros.",
            remedy="Check the encoder's input and weights.",
        )


def rows_sha256(rows: Sequence[IndexRow]) -> str:
    """Return the hash of an index's content: ids, vectors and findings, in id order."""
    digest = hashlib.sha256()
    for row in sorted(rows, key=lambda row: row.case_id):
        finding = None if row.finding is None else row.finding.model_dump(mode="json")
        facts = [row.case_id, row.patient_id, row.site, row.label, finding, row.findings_text]
        digest.update(json.dumps(facts, sort_keys=True).encode())
        digest.update(np.ascontiguousarray(row.embedding_D, dtype="<f4").tobytes())
    return digest.hexdigest()
