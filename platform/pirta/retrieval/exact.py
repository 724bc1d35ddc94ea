"""An index in memory that compares with every row: slow, obvious, and the oracle for the others.

Axis suffixes: N rows, D embedding dimensions.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from pirta.contracts.encoding import SearchRequest
from pirta.contracts.release import IndexKind
from pirta.contracts.report import RetrievedCase
from pirta.retrieval.index import (
    IndexRow,
    collection_aliased,
    collection_exists,
    collection_unknown,
    unique_rows,
)
from pirta.retrieval.selection import Candidate, answer_of, check_request, cosines_N, nearest


@dataclass
class _Collection:
    dimensions: int
    rows: dict[str, IndexRow] = field(default_factory=dict)


class ExactIndex:
    """Keeps rows in dictionaries. Loading and unloading mean nothing here."""

    def __init__(self) -> None:
        self._collections: dict[str, _Collection] = {}
        self._aliases: dict[str, str] = {}

    def create(
        self,
        collection: str,
        dimensions: int,
        *,
        kind: IndexKind = "FLAT",  # noqa: ARG002  exact it is, whatever is asked for
    ) -> None:
        """Make an empty collection."""
        if collection in self._collections:
            raise collection_exists(collection)
        self._collections[collection] = _Collection(dimensions)

    def exists(self, collection: str) -> bool:
        """Return whether there is such a collection."""
        return collection in self._collections

    def upsert(self, collection: str, rows: Sequence[IndexRow]) -> None:
        """Write rows by case id."""
        known = self._known(collection)
        fresh = unique_rows(rows, dimensions=known.dimensions)
        known.rows.update({row.case_id: row for row in fresh})

    def get(self, collection: str, case_ids: Sequence[str]) -> tuple[IndexRow, ...]:
        """Return the rows of these ids."""
        rows = self._known(collection).rows
        return tuple(rows[case_id] for case_id in dict.fromkeys(case_ids) if case_id in rows)

    def search(self, request: SearchRequest) -> tuple[RetrievedCase, ...]:
        """Return the nearest cases that the policy lets be seen."""
        known = self._known(request.collection)
        check_request(request, dimensions=known.dimensions)
        rows = list(known.rows.values())
        if not rows:
            return ()
        cosine_N = cosines_N(np.stack([row.embedding_D for row in rows]), request.embedding_D)
        all_of_them = map(Candidate, rows, cosine_N.tolist())
        return answer_of(nearest(all_of_them, request), request)

    def rows(self, collection: str) -> Iterator[IndexRow]:
        """Yield every row."""
        yield from list(self._known(collection).rows.values())

    def count(self, collection: str) -> int:
        """Return how many rows a collection holds."""
        return len(self._known(collection).rows)

    def seal(self, collection: str, *, timeout_s: float = 600.0) -> None:  # noqa: ARG002
        """Do nothing: rows have one form."""
        self._known(collection)

    def load(self, collection: str) -> None:
        """Do nothing: rows are in memory."""
        self._known(collection)

    def unload(self, collection: str) -> None:
        """Do nothing: rows are only in memory."""
        self._known(collection)

    def drop(self, collection: str) -> None:
        """Remove a collection that no alias points to."""
        if aliases := self.aliases(collection):
            raise collection_aliased(collection, aliases)
        del self._collections[collection]

    def set_alias(self, alias: str, collection: str) -> None:
        """Point an alias to a collection."""
        self._known(collection)
        self._aliases[alias] = collection

    def aliases(self, collection: str) -> tuple[str, ...]:
        """Return the aliases that point to a collection."""
        self._known(collection)
        return tuple(sorted(one for one, of in self._aliases.items() if of == collection))

    def _known(self, collection: str) -> _Collection:
        if collection not in self._collections:
            raise collection_unknown(collection)
        return self._collections[collection]
