"""The index in Milvus or milvus-lite, over the network.

FLAT or HNSW by cosine. Milvus proposes, `selection` decides: with FLAT the answers are the
oracle's (`exact.py`) to the last bit. Only modules of this room named milvus* import pymilvus.

Consistency: whoever writes waits, so that whoever reads need not. An upsert ends with a question
at level Strong, which Milvus answers once it has taken in all that was written before. Searches
are Bounded: level Strong would have each of them wait for Milvus's next time tick (0.2 s).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from pirta.contracts.encoding import SearchRequest
from pirta.contracts.release import IndexKind
from pirta.contracts.report import RetrievedCase
from pirta.errors import ReleaseError, UnavailableError
from pirta.retrieval.index import (
    IndexRow,
    collection_aliased,
    collection_exists,
    collection_unknown,
    unique_rows,
)
from pirta.retrieval.milvus_connection import (
    MilvusConnection,
    load_within,
    point_alias,
    wait_until_sealed,
)
from pirta.retrieval.milvus_rows import (
    EMBEDDING,
    FIELDS,
    HnswParameters,
    cases_filter,
    entity_of,
    make_index,
    make_schema,
    row_of,
)
from pirta.retrieval.milvus_search import Proposal, settle
from pirta.retrieval.selection import answer_of, check_request

if TYPE_CHECKING:
    from pymilvus import MilvusClient

_ROWS_AT_ONCE = 512
# Searched side by side: measured a quarter faster than one on two cores, FLAT, 40,000 rows.
_SHARDS = 2
_DEFAULT_HNSW = HnswParameters()

Result = TypeVar("Result")


class MilvusIndex:
    """An index behind a URI such as `http://127.0.0.1:19530`. Connects at the first call.

    Safe to call from several threads. A server that was restarted is found again by itself.
    """

    def __init__(
        self,
        uri: str,
        *,
        token: str = "",
        timeout_s: float = 10.0,
        load_timeout_s: float = 300.0,
        hnsw: HnswParameters = _DEFAULT_HNSW,
    ) -> None:
        self._connection = MilvusConnection(uri, token=token, timeout_s=timeout_s)
        self._timeout_s, self._load_timeout_s = timeout_s, load_timeout_s
        self._hnsw = hnsw
        self._dimensions: dict[str, int] = {}

    def create(self, collection: str, dimensions: int, *, kind: IndexKind = "FLAT") -> None:
        """Make an empty, loaded collection, or finish one whose making was broken off."""
        if self._ask(collection, lambda client: client.has_collection(collection)):
            self._finish(collection, dimensions, kind)
            return
        self._ask(
            collection,
            lambda client: client.create_collection(
                collection,
                schema=make_schema(client, dimensions),
                index_params=make_index(client, kind, self._hnsw),
                num_shards=_SHARDS,
                consistency_level="Strong",  # for outside readers, who do not know our barrier
                timeout=self._timeout_s,
            ),
        )

    def _finish(self, collection: str, dimensions: int, kind: IndexKind) -> None:
        """Give a collection its index: Milvus makes both one after the other, and a kill may part
        them. It cannot be loaded without.
        """
        self._dimensions.pop(collection, None)
        if self._dimensions_of(collection) != dimensions or self._ask(
            collection, lambda client: client.list_indexes(collection)
        ):
            raise collection_exists(collection)
        self._ask(
            collection,
            lambda client: client.create_index(
                collection, make_index(client, kind, self._hnsw), timeout=self._timeout_s
            ),
        )
        self.load(collection)

    def exists(self, collection: str) -> bool:
        """Return whether there is such a collection; an alias is none."""
        self._dimensions.pop(collection, None)
        try:
            self._dimensions_of(collection)
        except ReleaseError:
            return False
        return True

    def upsert(self, collection: str, rows: Sequence[IndexRow]) -> None:
        """Write rows by case id, and wait until every reader sees them."""
        fresh = unique_rows(rows, dimensions=self._dimensions_of(collection))
        entities = [entity_of(row) for row in fresh]
        for start in range(0, len(entities), _ROWS_AT_ONCE):
            batch = entities[start : start + _ROWS_AT_ONCE]
            self._ask(
                collection,
                lambda client, batch=batch: client.upsert(  # type: ignore[misc]
                    collection, batch, timeout=self._timeout_s
                ),
            )
        if fresh and not self._query(collection, [fresh[-1].case_id], "Strong", ["case_id"]):
            raise UnavailableError(
                f"The index did not keep the rows written to {collection}.",
                remedy="Write them again; see the log of Milvus.",
            )

    def get(self, collection: str, case_ids: Sequence[str]) -> tuple[IndexRow, ...]:
        """Return the rows of these ids."""
        self._dimensions_of(collection)
        wanted = list(dict.fromkeys(case_ids))
        found: dict[str, IndexRow] = {}
        for start in range(0, len(wanted), _ROWS_AT_ONCE):
            batch = wanted[start : start + _ROWS_AT_ONCE]
            for entity in self._query(collection, batch, "Bounded", FIELDS):
                found[entity["case_id"]] = row_of(entity)
        return tuple(found[case_id] for case_id in wanted if case_id in found)

    def search(self, request: SearchRequest) -> tuple[RetrievedCase, ...]:
        """Return the nearest cases that the policy lets be seen."""
        check_request(request, dimensions=self._dimensions_of(request.collection))
        answer = settle(request, lambda *of: self._propose(request, *of))
        return answer_of(answer, request)

    def rows(self, collection: str) -> Iterator[IndexRow]:
        """Yield every row."""
        self._dimensions_of(collection)
        pages = self._ask(
            collection,
            lambda client: client.query_iterator(
                collection, batch_size=_ROWS_AT_ONCE, output_fields=FIELDS, timeout=self._timeout_s
            ),
        )
        try:
            while page := self._ask(collection, lambda _: pages.next()):
                yield from map(row_of, page)
        finally:
            pages.close()

    def count(self, collection: str) -> int:
        """Return how many rows a collection holds."""
        self._dimensions_of(collection)
        answer = self._ask(
            collection,
            lambda client: client.query(
                collection,
                output_fields=["count(*)"],
                consistency_level="Bounded",
                timeout=self._timeout_s,
            ),
        )
        return int(answer[0]["count(*)"])

    def seal(self, collection: str, *, timeout_s: float = 600.0) -> None:
        """Close Milvus's growing segments, and wait until their index is built and in use."""
        self._dimensions_of(collection)
        self._ask(
            collection,
            lambda client: wait_until_sealed(client, collection, timeout_s=timeout_s),
        )

    def load(self, collection: str) -> None:
        """Bring a collection into Milvus's memory, within the time for that."""
        self._dimensions_of(collection)
        self._ask(
            collection,
            lambda client: load_within(client, collection, timeout_s=self._load_timeout_s),
        )

    def unload(self, collection: str) -> None:
        """Free Milvus's memory of a collection."""
        self._dimensions_of(collection)
        self._ask(
            collection,
            lambda client: client.release_collection(collection, timeout=self._timeout_s),
        )

    def drop(self, collection: str) -> None:
        """Remove a collection that no alias points to."""
        if aliases := self.aliases(collection):  # Milvus itself would not mind
            raise collection_aliased(collection, aliases)
        self._dimensions.pop(collection, None)
        self._ask(
            collection,
            lambda client: client.drop_collection(collection, timeout=self._timeout_s),
        )

    def set_alias(self, alias: str, collection: str) -> None:
        """Point an alias to a collection."""
        self._dimensions_of(collection)
        self._ask(
            collection,
            lambda client: point_alias(client, alias, collection, timeout_s=self._timeout_s),
        )

    def aliases(self, collection: str) -> tuple[str, ...]:
        """Return the aliases that point to a collection."""
        self._dimensions_of(collection)
        answer = self._ask(
            collection, lambda client: client.list_aliases(collection, timeout=self._timeout_s)
        )
        return tuple(sorted(answer["aliases"]))

    def _propose(self, request: SearchRequest, expression: str, limit: int) -> Proposal:
        """The one place where Milvus is searched."""
        hits = self._ask(
            request.collection,
            lambda client: client.search(
                request.collection,
                data=[request.embedding_D.astype("float32")],
                anns_field=EMBEDDING,
                limit=limit,
                filter=expression,
                # FLAT does not look at ef.
                search_params={
                    "metric_type": "COSINE", "params": {"ef": max(self._hnsw.ef, limit)}
                },
                output_fields=FIELDS,
                consistency_level="Bounded",
                timeout=self._timeout_s,
            ),
        )[0]  # fmt: skip
        lowest_cosine = min((float(hit["distance"]) for hit in hits), default=0.0)
        return Proposal([row_of(hit["entity"]) for hit in hits], lowest_cosine)

    def _query(
        self, collection: str, case_ids: Sequence[str], consistency: str, fields: list[str]
    ) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._ask(
            collection,
            lambda client: client.query(
                collection,
                filter=cases_filter(case_ids),
                output_fields=fields,
                consistency_level=consistency,
                timeout=self._timeout_s,
            ),
        )
        return found

    def _dimensions_of(self, collection: str) -> int:
        """Return the length of a collection's embeddings; asked of Milvus once."""
        if collection not in self._dimensions:
            described = self._ask(
                collection,
                lambda client: client.describe_collection(collection, timeout=self._timeout_s),
            )
            if described["collection_name"] != collection:  # Milvus resolves aliases
                raise collection_unknown(collection)
            fields = {field["name"]: field for field in described["fields"]}
            if not {EMBEDDING, *FIELDS} <= fields.keys():
                raise ReleaseError(
                    f"The collection '{collection}' has not the columns of this version.",
                    remedy="Build the release again.",
                )
            self._dimensions[collection] = int(fields[EMBEDDING]["params"]["dim"])
        return self._dimensions[collection]

    def _ask(self, collection: str, question: Callable[[MilvusClient], Result]) -> Result:
        try:
            return self._connection.ask(collection, question)
        except ReleaseError:
            self._dimensions.pop(collection, None)
            raise
