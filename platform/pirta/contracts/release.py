"""A release: everything that must be served together, by content.

An embedding compares only with embeddings of the same encoder and preprocessing, and a writer
is tested only with both, so they are named together in one immutable record.
"""

from __future__ import annotations

import hashlib

from pydantic import BaseModel, ConfigDict


class Release(BaseModel):
    """The record beside an index. Hashes are sha256 in hex; paths are where the parts lie.

    Attributes:
        collection: the physical Milvus collection, never an alias.
        index_sha256: over the index's rows (ids, vectors, findings), in id order.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    encoder_path: str
    encoder_sha256: str
    preprocessing_fingerprint: str
    collection: str
    index_sha256: str
    num_cases: int
    dimensions: int
    writer_base_path: str
    writer_base_sha256: str
    writer_adapter_path: str
    writer_adapter_sha256: str
    prompt_sha256: str
    commit: str

    @property
    def release_id(self) -> str:
        """A short name made from the content: paths do not enter it."""
        content = self.model_dump_json(
            exclude={"encoder_path", "writer_base_path", "writer_adapter_path"}
        )
        return "rel-" + hashlib.sha256(content.encode()).hexdigest()[:12]
