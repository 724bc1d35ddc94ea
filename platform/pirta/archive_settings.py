"""How `pirta preprocess` runs over an archive: when a study is given up, and how work is cut.

Part of `pirta.settings`, in a file of its own. Nothing here changes a prepared volume's numbers,
so nothing here enters the preprocessing fingerprint.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, SecretStr


class ArchiveSettings(BaseModel):
    """The run over an archive."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    study_timeout_s: float = Field(
        default=300.0,
        gt=0,
        description="A study that takes longer becomes a dead letter; an external "
        "stripper has its own time beside it.",
    )
    max_attempts: int = Field(
        default=2,
        ge=1,
        description="Worker processes that a study may end before it becomes a dead letter.",
    )
    shard_studies: int = Field(
        default=256, ge=1, description="Studies of one shard of the store, and of one execution."
    )
    worker_memory_mb: int = Field(
        default=2048, ge=256, description="Memory that a worker declares to Ray."
    )
    pseudonym_key: SecretStr = Field(
        default=SecretStr(""),
        description="Key of the hashes that name the studies and patients of a scanned folder; "
        "`pirta pseudonym --make-key` makes one. Without it no folder is scanned.",
    )
    demo: bool = Field(
        default=False,
        description="Scan folders without a key: for data that is nobody's, since whoever "
        "guesses a patient's id could check the guess.",
    )
