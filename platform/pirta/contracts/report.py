"""A report on its way out: the paper's five parts, the evidence, and where it all came from.

A report is written by the model, filled from the template where the model cannot answer, or it
abstains. An abstained report shows its evidence and its reasons and states no finding. It cannot
be read as a normal study, by a person or by a program: its words are fixed here, and a report
that breaks this does not come into being.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from pirta.contracts.abstention import Reason
from pirta.contracts.finding import Finding, Label, finding_sentence, label_of

ReportMode = Literal["written", "template", "abstained"]
Outcome = Literal["acute_infarction", "no_acute_infarction", "undetermined"]

ACUTE_IMPRESSION = "Acute infarction"
NORMAL_IMPRESSION = "No acute infarction"
ABSTAINED_FINDINGS = "Not stated: this report abstains. See its reasons and the evidence."
ABSTAINED_IMPRESSION = "Undetermined. A radiologist has to read the images."
# How a normal neighbour is named in an abstained report, where the sentence of a normal study
# could be taken for this study's.
NORMAL_NEIGHBOUR = "A verified case of another patient, labelled normal."

# What no word of an abstained report may say, the patient's registry apart.
_READS_AS_NORMAL = ("no diffusion restriction", "no acute infarct")

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

    @model_validator(mode="after")
    def _is_one_case(self) -> RetrievedCase:
        """Refuse a case whose finding would vote for another label than it has."""
        if self.label is not label_of(self.finding):
            raise ValueError(f"the label {self.label} is not that of the finding")
        return self


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
        mode: who found the words: the model ("written"), the template filled with the
            neighbours' majority ("template"), or nobody ("abstained").
        outcome: what the report says, for programs. Read this and not `finding`, which is None
            both for a normal study and for an abstention. It follows from the two, and may be
            left out where a report is made.
        finding: the structured form of `findings`; None where there is none to state.
        encoder_label: what the encoder's own classifier says, for the reader to compare.
        encoder_probability: softmax probability of `encoder_label`.
        confidence: 0 to 1, comparable within a release; None where it was not judged.
        reasons: why the report is not a written one; empty exactly where it is.
        warnings: reasons for caution, one sentence each; empty where there are none.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    study_id: str
    mode: ReportMode = "written"
    outcome: Outcome = "undetermined"
    clinical_presentation: str
    nihss: str
    past_medical_history: str
    findings: str
    impression: str
    finding: Finding | None
    encoder_label: Label
    encoder_probability: float = Field(ge=0, le=1)
    confidence: float | None = Field(default=None, ge=0, le=1)
    reasons: tuple[Reason, ...] = ()
    evidence: tuple[RetrievedCase, ...]
    warnings: tuple[str, ...] = ()
    provenance: Provenance
    disclaimer: str = DISCLAIMER

    @model_validator(mode="before")
    @classmethod
    def _with_outcome(cls, values: Any) -> Any:
        """Fill in the outcome where it is left out."""
        if isinstance(values, dict) and "outcome" not in values:
            return values | {"outcome": _outcome(values.get("mode"), values.get("finding"))}
        return values

    @model_validator(mode="after")
    def _says_one_thing(self) -> Report:
        """Refuse a report whose parts say different things."""
        if self.outcome != _outcome(self.mode, self.finding):
            raise ValueError(f"the outcome of this {self.mode} report is not {self.outcome}")
        if (self.mode == "written") == bool(self.reasons):
            raise ValueError("a report has reasons exactly where it is not written by the model")
        if self.mode == "abstained":
            self._check_abstained()
        elif (self.findings, self.impression) != _words(self.finding):
            raise ValueError("findings, impression and finding do not say the same")
        return self

    def _check_abstained(self) -> None:
        if (self.findings, self.impression) != (ABSTAINED_FINDINGS, ABSTAINED_IMPRESSION):
            raise ValueError("an abstained report has findings or an impression of its own")
        if self.finding is not None:
            raise ValueError("an abstained report states a finding")
        said = [*self.warnings, *(reason.sentence for reason in self.reasons)]
        said += [case.findings_text for case in self.evidence]
        if any(reads_as_normal(text) for text in said):
            raise ValueError("an abstained report could be read as normal")


def reads_as_normal(text: str) -> bool:
    """Whether a text, read alone, says that a study shows no acute infarct."""
    return any(words in text.lower() for words in _READS_AS_NORMAL)


def _outcome(mode: object, finding: object) -> Outcome:
    if mode == "abstained":
        return "undetermined"
    return "no_acute_infarction" if finding is None else "acute_infarction"


def _words(finding: Finding | None) -> tuple[str, str]:
    impression = NORMAL_IMPRESSION if finding is None else ACUTE_IMPRESSION
    return finding_sentence(finding), impression
