"""How a row lies in Milvus, and how a policy reads as a filter expression.

Every text that a filter compares is stored beside its hash, and only the hash is compared: hex
digits cannot break out of an expression, whatever a site or a case is called. The patient's
pseudonym is nowhere in the store, nor in the log of a server that logs its filters.

Axis suffixes: D embedding dimensions.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pirta.contracts.access import SearchPolicy
from pirta.contracts.finding import Finding, Label
from pirta.contracts.release import IndexKind
from pirta.errors import IndexRequestError
from pirta.retrieval.index import IndexRow, patient_key

if TYPE_CHECKING:
    from pymilvus import CollectionSchema, MilvusClient
    from pymilvus.milvus_client import IndexParams

EMBEDDING = "embedding"
_TEXT_BYTES = {
    "case_key": 32, "case_id": 256, "patient_key": 64, "site_key": 32, "site": 256,
    "scanner": 256, "label": 32, "finding": 1024, "findings_text": 8192, "report_text": 65_535,
    "origin": 8, "release_id": 64, "added_on": 32,
}  # fmt: skip
FIELDS = [name for name in (*_TEXT_BYTES, EMBEDDING) if name not in {"case_key", "site_key"}]


@dataclass(frozen=True)
class HnswParameters:
    """Milvus's HNSW graph.

    Attributes:
        m: links a node.
        ef_construction: candidates while the graph is built.
        ef: candidates of a search; never below what is asked for.
    """

    m: int = 32
    ef_construction: int = 200
    ef: int = 256


def text_key(text: str) -> str:
    """Return the hash that a filter compares in place of a site or a case id: 128 bits, hex."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def make_schema(client: MilvusClient, dimensions: int) -> CollectionSchema:
    """Return the schema of a collection."""
    from pymilvus import DataType

    schema = client.create_schema(auto_id=False, enable_dynamic_field=False)
    for name, num_bytes in _TEXT_BYTES.items():
        is_primary = name == "case_key"
        schema.add_field(name, DataType.VARCHAR, max_length=num_bytes, is_primary=is_primary)
    schema.add_field(EMBEDDING, DataType.FLOAT_VECTOR, dim=dimensions)
    return schema


def make_index(client: MilvusClient, kind: IndexKind, hnsw: HnswParameters) -> IndexParams:
    """Return the index of the embeddings."""
    params = {"M": hnsw.m, "efConstruction": hnsw.ef_construction} if kind == "HNSW" else {}
    index = client.prepare_index_params()
    index.add_index(EMBEDDING, index_type=kind, metric_type="COSINE", params=params)
    return index


def entity_of(row: IndexRow) -> dict[str, Any]:
    """Return a row as Milvus takes it.

    Raises:
        IndexRequestError: a text is too long.
    """
    texts = {
        "case_key": text_key(row.case_id),
        "case_id": row.case_id,
        "patient_key": row.patient_key,
        "site_key": text_key(row.site),
        "site": row.site,
        "scanner": row.scanner,
        "label": str(row.label),
        "finding": "" if row.finding is None else row.finding.model_dump_json(),
        "findings_text": row.findings_text,
        "report_text": row.report_text,
        "origin": row.origin,
        "release_id": row.release_id,
        "added_on": row.added_on,
    }
    for name, text in texts.items():
        if (num_bytes := len(text.encode())) > _TEXT_BYTES[name]:
            raise IndexRequestError(
                f"The {name} of the case {row.case_id[:64]} has {num_bytes} bytes; "
                f"the index takes {_TEXT_BYTES[name]}.",
                remedy="Shorten it in the cohort table.",
            )
    return {**texts, EMBEDDING: row.embedding_D.astype(np.float32)}


def row_of(entity: Mapping[str, Any]) -> IndexRow:
    """Return the row of an entity that holds all `FIELDS`."""
    finding = entity["finding"]
    return IndexRow(
        case_id=entity["case_id"],
        patient_key=entity["patient_key"],
        site=entity["site"],
        scanner=entity["scanner"],
        label=Label(entity["label"]),
        finding=Finding.model_validate(json.loads(finding)) if finding else None,
        findings_text=entity["findings_text"],
        report_text=entity["report_text"],
        origin=entity["origin"],
        release_id=entity["release_id"],
        added_on=entity["added_on"],
        embedding_D=np.asarray(entity[EMBEDDING], dtype=np.float32),
    )


def policy_filter(policy: SearchPolicy, *, with_withdrawn: bool) -> str:
    """Return the expression that holds for the rows that a policy lets be seen.

    `with_withdrawn` false leaves the withdrawn cases to `selection`: ten thousand ids cost a
    server more to parse than the whole search takes.
    """
    parts = []
    for patient_id in sorted(policy.exclude_patient_ids):
        parts.append(f'patient_key != "{patient_key(patient_id)}"')
    if policy.sites is not None:
        parts.append(f"site_key in {_listed(policy.sites)}")
    if with_withdrawn and policy.withdrawn:
        parts.append(f"case_key not in {_listed(policy.withdrawn)}")
    return " and ".join(parts)


def cases_filter(case_ids: Iterable[str]) -> str:
    """Return the expression that holds for these cases."""
    return f"case_key in {_listed(case_ids)}"


def _listed(texts: Iterable[str]) -> str:
    return "[" + ", ".join(f'"{text_key(text)}"' for text in sorted(texts)) + "]"
