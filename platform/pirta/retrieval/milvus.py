"""The index in Milvus or milvus-lite, over the network. The only module that imports pymilvus.

FLAT with COSINE: exact, and the numbers are the oracle's (`exact.py`). The patient's own cases
are kept out by a filter on a hash of the patient's pseudonym: hex digits cannot break out of a
filter expression, and neither the store nor a server's error log ever holds the pseudonym.

Axis suffixes: D embedding dimensions.
"""

from __future__ import annotations

import hashlib
import json
import logging
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from pirta.contracts.encoding import SearchRequest
from pirta.contracts.finding import Finding, Label
from pirta.contracts.report import RetrievedCase
from pirta.errors import IndexRequestError, PirtaError, ReleaseError, UnavailableError
from pirta.retrieval.index import IndexRow, check_embedding

if TYPE_CHECKING:
    from pymilvus import MilvusClient

_COLLECTION_UNKNOWN = 100
_COLLECTION_NOT_LOADED = 101
_UPSERT_ROWS = 512
_TEXT_BYTES = {
    "case_id": 256, "patient_key": 64, "site": 256, "label": 32, "finding": 1024,
    "findings_text": 8192,
}  # fmt: skip
_RETURNED = [name for name in _TEXT_BYTES if name != "case_id"]

Result = TypeVar("Result")


class MilvusIndex:
    """An index behind a URI such as `http://127.0.0.1:19530`. Connects at the first call.

    Safe to call from several threads. A server that was restarted is found again by itself.
    """

    def __init__(self, uri: str, *, token: str = "", timeout_s: float = 10.0) -> None:
        self._uri = uri
        self._token = token
        self._timeout_s = timeout_s
        self._client: MilvusClient | None = None
        self._connecting = threading.Lock()
        self._dimensions: dict[str, int] = {}

    def create(self, collection: str, dimensions: int) -> None:
        """Make an empty collection; one of the same name is dropped first."""
        self._dimensions.pop(collection, None)
        self._ask(collection, lambda client: self._create(client, collection, dimensions))

    def upsert(self, collection: str, rows: Sequence[IndexRow]) -> None:
        """Write rows by case id, the last of equal ids."""
        dimensions = self._dimensions_of(collection)
        for row in rows:
            check_embedding(row.embedding_D, dimensions=dimensions, whose=row.case_id)
        entities = list({row.case_id: _entity(row) for row in rows}.values())
        for start in range(0, len(entities), _UPSERT_ROWS):
            batch = entities[start : start + _UPSERT_ROWS]
            self._ask(
                collection,
                lambda client, batch=batch: client.upsert(  # type: ignore[misc]
                    collection, batch, timeout=self._timeout_s
                ),
            )

    def search(self, request: SearchRequest) -> tuple[RetrievedCase, ...]:
        """Return the nearest cases of other patients."""
        dimensions = self._dimensions_of(request.collection)
        check_embedding(request.embedding_D, dimensions=dimensions, whose="the request")
        excluded = request.exclude_patient_id
        key = None if excluded is None else patient_key(excluded)
        hits = self._ask(
            request.collection,
            lambda client: client.search(
                request.collection,
                data=[request.embedding_D.astype("float32")],
                anns_field="embedding",
                limit=request.top_k,
                filter="" if key is None else f'patient_key != "{key}"',
                output_fields=_RETURNED,
                timeout=self._timeout_s,
            ),
        )[0]
        assert all(hit["entity"]["patient_key"] != key for hit in hits), "the filter must hold"
        found = [_retrieved(hit) for hit in hits]
        return tuple(sorted(found, key=lambda case: (-case.similarity, case.case_id)))

    def count(self, collection: str) -> int:
        """Return how many rows a collection holds."""
        answer = self._ask(
            collection,
            lambda client: client.query(
                collection, output_fields=["count(*)"], timeout=self._timeout_s
            ),
        )
        return int(answer[0]["count(*)"])

    def drop(self, collection: str) -> None:
        """Remove a collection."""
        self._dimensions_of(collection)  # Milvus itself does not mind an unknown name
        self._dimensions.pop(collection, None)
        self._ask(
            collection,
            lambda client: client.drop_collection(collection, timeout=self._timeout_s),
        )

    def _create(self, client: MilvusClient, collection: str, dimensions: int) -> None:
        from pymilvus import DataType

        if client.has_collection(collection, timeout=self._timeout_s):
            client.drop_collection(collection, timeout=self._timeout_s)
        schema = client.create_schema(auto_id=False, enable_dynamic_field=False)
        for name, num_bytes in _TEXT_BYTES.items():
            schema.add_field(
                name, DataType.VARCHAR, max_length=num_bytes, is_primary=name == "case_id"
            )
        schema.add_field("embedding", DataType.FLOAT_VECTOR, dim=dimensions)
        indexes = client.prepare_index_params()
        indexes.add_index("embedding", index_type="FLAT", metric_type="COSINE")
        client.create_collection(
            collection,
            schema=schema,
            index_params=indexes,
            consistency_level="Strong",
            timeout=self._timeout_s,
        )

    def _dimensions_of(self, collection: str) -> int:
        if collection not in self._dimensions:
            described = self._ask(
                collection,
                lambda client: client.describe_collection(collection, timeout=self._timeout_s),
            )
            fields = {field["name"]: field for field in described["fields"]}
            if "embedding" not in fields:
                raise ReleaseError(
                    f"The collection '{collection}' was not made by PIRTA.",
                    remedy="Build the index again under a new name.",
                )
            self._dimensions[collection] = int(fields["embedding"]["params"]["dim"])
        return self._dimensions[collection]

    def _ask(self, collection: str, question: Callable[[MilvusClient], Result]) -> Result:
        """Put a question to the server, loading the collection where a restart unloaded it."""
        from grpc import RpcError  # type: ignore[import-untyped]
        from pymilvus.exceptions import MilvusException

        try:
            client = self._connected()
            try:
                return question(client)
            except MilvusException as error:
                if error.code != _COLLECTION_NOT_LOADED:
                    raise
                client.load_collection(collection, timeout=self._timeout_s)
                return question(client)
        except MilvusException as error:
            # Milvus's own words can repeat a row; only the code goes on.
            raise self._typed(int(error.code), collection) from None
        except RpcError as error:  # pymilvus lets some through, a passed deadline for one
            raise self._unavailable(error.code().name) from None

    def _connected(self) -> MilvusClient:
        from pymilvus import MilvusClient

        with self._connecting:
            if self._client is None:
                # Each failed call would be logged with its traceback; we raise typed errors.
                logging.getLogger("pymilvus").setLevel(logging.CRITICAL)
                self._client = MilvusClient(
                    self._uri,
                    token=self._token,
                    timeout=self._timeout_s,
                    # Its pings while idle come more often than milvus-lite takes them.
                    grpc_options={"grpc.keepalive_permit_without_calls": False},
                )
            return self._client

    def _typed(self, code: int, collection: str) -> PirtaError:
        if code == _COLLECTION_UNKNOWN:
            self._dimensions.pop(collection, None)
            return ReleaseError(
                f"The index holds no collection '{collection}'.",
                remedy="Build the index, or serve a release whose collection exists.",
            )
        return self._unavailable(f"Milvus code {code}")

    def _unavailable(self, reason: str) -> UnavailableError:
        return UnavailableError(
            f"The index does not answer within {self._timeout_s:g} s ({reason}).",
            remedy="Check that Milvus runs where the setting index.uri says, then try again.",
        )


def patient_key(patient_id: str) -> str:
    """Return the hash under which a patient's cases lie in the store."""
    return hashlib.sha256(patient_id.encode("utf-8", "surrogatepass")).hexdigest()


def _entity(row: IndexRow) -> dict[str, Any]:
    texts = {
        "case_id": row.case_id,
        "patient_key": patient_key(row.patient_id),
        "site": row.site,
        "label": str(row.label),
        "finding": "" if row.finding is None else row.finding.model_dump_json(),
        "findings_text": row.findings_text,
    }
    for name, text in texts.items():
        if len(text.encode()) > _TEXT_BYTES[name]:
            raise IndexRequestError(
                f"The {name} of the case {row.case_id[:64]} has {len(text.encode())} bytes; "
                f"the index takes {_TEXT_BYTES[name]}.",
                remedy="Shorten it in the cohort table.",
            )
    return {**texts, "embedding": row.embedding_D.astype("float32")}


def _retrieved(hit: Any) -> RetrievedCase:
    entity = hit["entity"]
    finding = entity["finding"]
    return RetrievedCase(
        case_id=hit["case_id"],
        site=entity["site"],
        similarity=float(hit["distance"]),
        label=Label(entity["label"]),
        finding=Finding.model_validate(json.loads(finding)) if finding else None,
        findings_text=entity["findings_text"],
    )
