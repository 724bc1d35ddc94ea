"""A release: everything that must be served together, by content.

An embedding compares only with embeddings of the same encoder and preprocessing, and a writer
is tested only with both, so they are named together in one immutable record. What the gates
measured is known only afterwards: it is kept beside the record (`pirta.releases`), not in it.
"""

from __future__ import annotations

import hashlib
import json
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from pirta.contracts.abstention import AbstentionLimits

IndexKind = Literal["FLAT", "HNSW"]

# Where the parts lie is no content: a release that was copied is the same release.
_PATHS = {"encoder_path", "writer_base_path", "writer_adapter_path"}


class Decoding(BaseModel):
    """How the writer decodes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    temperature: float = Field(default=0.0, ge=0, le=2)
    max_answer_tokens: int = Field(default=256, ge=1)


class Calibration(BaseModel):
    """The numbers that belong to this encoder on this index.

    Attributes:
        min_similarity: cosine below which a case is no evidence (the retrieval's cut-off).
        min_patients: distinct patients that the evidence holds at least.
        low_similarity: nearest similarity below which the report carries a caution.
        abstention: where a report stops to state a finding.
        top_k: neighbours a report, over which all of these were fitted. Older records do not say
            it and mean whatever the service's settings say.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    min_similarity: float = Field(default=-1.0, ge=-1, le=1)
    min_patients: int = Field(default=1, ge=1)
    low_similarity: float = Field(default=0.5, ge=-1, le=1)
    abstention: AbstentionLimits = AbstentionLimits()
    top_k: int | None = Field(default=None, ge=1, le=100)

    def num_neighbours(self, otherwise: int) -> int:
        """Return how many neighbours a report has; `otherwise` where the record does not say."""
        return otherwise if self.top_k is None else self.top_k


class Release(BaseModel):
    """The immutable record. Hashes are sha256 in hex; paths are where the parts lie.

    A field that is added later gets a default that says what older records meant, and no default
    ever changes: the id holds only what differs from the defaults, so that it stays the same.

    Attributes:
        collection: the physical Milvus collection, never an alias.
        index_sha256: over the index's rows (ids, vectors, findings), in id order.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    encoder_path: str
    encoder_sha256: str
    preprocessing_fingerprint: str
    collection: str
    index_kind: IndexKind = "FLAT"
    index_sha256: str
    num_cases: int = Field(ge=1)
    dimensions: int = Field(ge=1)
    writer_base_path: str
    writer_base_sha256: str
    writer_adapter_path: str
    writer_adapter_sha256: str
    prompt_sha256: str
    decoding: Decoding = Decoding()
    calibration: Calibration = Calibration()
    commit: str

    @property
    def release_id(self) -> str:
        """A short name made from the content: paths do not enter it."""
        content = self.model_dump(mode="json", exclude=_PATHS, exclude_defaults=True)
        return (
            "rel-" + hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]
        )


class GateResult(BaseModel):
    """What one gate of `pirta release verify` measured of a release.

    Attributes:
        value, limit: in `unit`; the gate compares them in the direction that `detail` tells.
        detail: a sentence for the operator; it names counts and ids, never patient data.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    passed: bool
    value: float
    limit: float
    unit: str = ""
    detail: str = ""
