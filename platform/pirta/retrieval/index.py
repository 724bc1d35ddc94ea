"""What an index of verified cases can do, whatever holds it.

A collection is one physical set of rows. A release names it; rows that are signed later are
upserted into it and visible to the next search. Collections are made once: `create` never drops.

Axis suffixes: D embedding dimensions. Embeddings are float32 of unit length; the similarity is
their cosine.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from pirta.contracts.encoding import SearchRequest
from pirta.contracts.finding import Finding, Label
from pirta.contracts.release import IndexKind
from pirta.contracts.report import RetrievedCase
from pirta.errors import (
    CollectionExistsError,
    CollectionInUseError,
    DuplicateCaseError,
    IndexRequestError,
    ReleaseError,
)


@dataclass(frozen=True)
class IndexRow:
    """A verified case as it lies in the index. It names nobody: ids are pseudonyms.

    Attributes:
        patient_key: `patient_key` of the patient's pseudonym.
        report_text: the de-identified report, empty where there is none.
        origin: `build` for the rows that a release was made of, `live` for those added to it.
        release_id: the release that the row was added to; empty for `build`, since the record
            is written after its rows.
        added_on: ISO date on which the row was written. Not the exam's: that would identify.
    """

    case_id: str
    patient_key: str
    site: str
    scanner: str
    label: Label
    finding: Finding | None
    findings_text: str
    report_text: str
    origin: Literal["build", "live"]
    release_id: str
    added_on: str
    embedding_D: NDArray[np.float32]


class Index(Protocol):
    """Holds collections of rows and finds the nearest ones.

    Every method raises `UnavailableError` where the store does not answer, and all but `create`
    and `exists` raise `ReleaseError` for an unknown collection.
    """

    def create(self, collection: str, dimensions: int, *, kind: IndexKind = "FLAT") -> None:
        """Make an empty, loaded collection.

        One whose making was broken off half-way, before it could be used, is finished instead.

        Raises:
            CollectionExistsError: there is one of this name; it is left as it is.
        """
        ...

    def exists(self, collection: str) -> bool:
        """Return whether there is such a collection."""
        ...

    def upsert(self, collection: str, rows: Sequence[IndexRow]) -> None:
        """Write rows; a row of a known `case_id` replaces the old one.

        When it returns, every search that begins sees the rows, whoever asks.

        Raises:
            IndexRequestError: an embedding or a text does not fit. No row was written.
            DuplicateCaseError: two rows of one id differ in content. No row was written.
        """
        ...

    def get(self, collection: str, case_ids: Sequence[str]) -> tuple[IndexRow, ...]:
        """Return the rows of these ids, in their order; unknown ids are left out."""
        ...

    def search(self, request: SearchRequest) -> tuple[RetrievedCase, ...]:
        """Return at most `top_k` cases that the policy lets be seen, nearest first.

        Equal similarities are ordered by case id. Where nothing is seen, or nothing reaches the
        policy's `min_similarity`, the answer is empty. With `min_patients` the answer is the
        nearest that holds so many distinct patients (`selection.nearest`).

        Raises:
            IndexRequestError: the embedding's length is wrong, it is not finite, `top_k` is
                outside 1..1000, or `min_patients` is above `top_k`.
            NoNeighboursError: something is seen, but of fewer patients than `min_patients`.
        """
        ...

    def rows(self, collection: str) -> Iterator[IndexRow]:
        """Yield every row, in no order; rows that are written meanwhile may be missing."""
        ...

    def count(self, collection: str) -> int:
        """Return how many rows a collection holds."""
        ...

    def seal(self, collection: str, *, timeout_s: float = 600.0) -> None:
        """Bring all rows into their final form: after a build, before its recall is measured.

        Searches are right without it, but fresh rows may be compared one by one where a graph
        will stand later.
        """
        ...

    def load(self, collection: str) -> None:
        """Bring a collection into the store's memory; harmless where it is there.

        A collection that is not there in time ends in `UnavailableError` as well.
        """
        ...

    def unload(self, collection: str) -> None:
        """Free the store's memory of a collection; a later question loads it again."""
        ...

    def drop(self, collection: str) -> None:
        """Remove a collection.

        Raises:
            CollectionInUseError: an alias points to it.
        """
        ...

    def set_alias(self, alias: str, collection: str) -> None:
        """Point an alias to a collection, for people and outside readers; requests use none."""
        ...

    def aliases(self, collection: str) -> tuple[str, ...]:
        """Return the aliases that point to a collection, sorted."""
        ...


def patient_key(patient_id: str) -> str:
    """Return the hash under which a patient's cases lie in the store.

    The store never holds the pseudonym itself, so that it cannot be joined with other tables.
    """
    return hashlib.sha256(patient_id.encode("utf-8", "surrogatepass")).hexdigest()


def row_sha256(row: IndexRow) -> str:
    """Return the hash of a case's content: all but where and when it was written."""
    finding = None if row.finding is None else row.finding.model_dump(mode="json")
    facts = [row.case_id, row.patient_key, row.site, row.scanner, row.label, finding]
    texts = [row.findings_text, row.report_text]
    digest = hashlib.sha256(json.dumps([*facts, *texts], sort_keys=True).encode())
    digest.update(np.ascontiguousarray(row.embedding_D, dtype="<f4").tobytes())
    return digest.hexdigest()


def rows_sha256(rows: Iterable[IndexRow]) -> str:
    """Return the hash of an index's content, the same in whatever order the rows come."""
    hashes = sorted((row.case_id, row_sha256(row)) for row in rows)
    return hashlib.sha256("\n".join(sha256 for _, sha256 in hashes).encode()).hexdigest()


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


def unique_rows(rows: Sequence[IndexRow], *, dimensions: int) -> list[IndexRow]:
    """Return the rows, each case once, after a look at every embedding.

    Raises:
        IndexRequestError: an embedding does not fit.
        DuplicateCaseError: two rows of one id differ in content.
    """
    found: dict[str, IndexRow] = {}
    for row in rows:
        check_embedding(row.embedding_D, dimensions=dimensions, whose=row.case_id[:64])
        known = found.setdefault(row.case_id, row)
        if known is not row and row_sha256(known) != row_sha256(row):
            raise DuplicateCaseError(
                f"The case {row.case_id[:64]} comes twice with different content.",
                remedy="Keep the right one of the two in the cohort table.",
            )
    return list(found.values())


def collection_unknown(collection: str) -> ReleaseError:
    """Return the error of a collection that is not there."""
    return ReleaseError(
        f"The index holds no collection '{collection}'.",
        remedy="Build the release again, or serve one whose collection exists.",
    )


def collection_exists(collection: str) -> CollectionExistsError:
    """Return the error of a collection that is there already."""
    return CollectionExistsError(
        f"The index holds a collection '{collection}' already.",
        remedy="Upsert into it, or drop it first if no release names it.",
    )


def collection_aliased(collection: str, aliases: Sequence[str]) -> CollectionInUseError:
    """Return the error of a collection that cannot be dropped, for the aliases on it."""
    return CollectionInUseError(
        f"The collection '{collection}' is what {', '.join(aliases)} points to.",
        remedy="Activate another release, so that the alias moves on, and drop it then.",
    )
