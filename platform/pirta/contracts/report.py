"""A report on its way out: the paper's five parts, the evidence, and where it all came from."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from pirta.contracts.finding import Finding, Label

DISCLAIMER = "Preliminary, machine-written, research use only. Not for diagnosis."


class RetrievedCase(BaseModel):
    """One neighbour: a verified case and its cosine similarity to the query, in [-1, 1]."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    case_id: str
    site: str
    similarity: float = Field(ge=-1.0001, le=1.0001)
    label: Label
    finding: Finding | None
    findings_text: str


class Provenance(BaseModel):
    """What a report was made with. Hashes are sha256 in hex."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    release_id: str
    commit: str
    preprocessing_fingerprint: str
    encoder_sha256: str
    index_collection: str
    index_sha256: str
    writer_base_sha256: str
    writer_adapter_sha256: str
    prompt_sha256: str
    settings_sha256: str


class Report(BaseModel):
    """A preliminary report in the paper's form (Table 3), with its evidence.

    Attributes:
        finding: the structured form of `findings`; None is "no diffusion restriction".
        encoder_label: what the encoder's own classifier says, for the reader to compare.
        encoder_probability: softmax probability of `encoder_label`.
        warnings: reasons for caution, one sentence each; empty where there are none.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    study_id: str
    clinical_presentation: str
    nihss: str
    past_medical_history: str
    findings: str
    impression: str
    finding: Finding | None
    encoder_label: Label
    encoder_probability: float = Field(ge=0, le=1)
    evidence: tuple[RetrievedCase, ...]
    warnings: tuple[str, ...] = ()
    provenance: Provenance
    disclaimer: str = DISCLAIMER
