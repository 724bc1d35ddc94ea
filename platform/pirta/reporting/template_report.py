"""What a report says, in each of its three modes: the words that `contracts.report` asks for.

- written: the model's answer, after it held against its sources.
- template: the neighbours' majority in the paper's sentence, where the model is down or late.
- abstained: no finding; the evidence and the reasons only.

Pure functions; who decides which of them is called is `drafting`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pirta.contracts.abstention import Reason, ReasonCode
from pirta.contracts.finding import Finding, finding_sentence
from pirta.contracts.report import (
    ABSTAINED_FINDINGS,
    ABSTAINED_IMPRESSION,
    ACUTE_IMPRESSION,
    NORMAL_IMPRESSION,
    NORMAL_NEIGHBOUR,
    ReportMode,
    RetrievedCase,
)
from pirta.reporting.answer import WrittenAnswer
from pirta.reporting.consensus import consensus

_WRITER_SENTENCES = {
    ReasonCode.WRITER_DOWN: "The language model did not answer; the sentence is the similar "
    "cases' majority.",
    ReasonCode.WRITER_LATE: "The language model did not answer in time; the sentence is the "
    "similar cases' majority.",
}


@dataclass(frozen=True)
class Words:
    """The parts of a report that its mode decides; the names are the contract's."""

    mode: ReportMode
    findings: str
    impression: str
    finding: Finding | None
    evidence: tuple[RetrievedCase, ...]
    confidence: float
    reasons: tuple[Reason, ...] = ()


def written_words(
    answer: WrittenAnswer, evidence: Sequence[RetrievedCase], *, confidence: float
) -> Words:
    """Return the model's words."""
    return Words(
        mode="written",
        findings=answer.findings,
        impression=answer.impression,
        finding=answer.finding,
        evidence=tuple(evidence),
        confidence=confidence,
    )


def template_words(
    evidence: Sequence[RetrievedCase], *, why: ReasonCode, confidence: float
) -> Words:
    """Return the majority of the neighbours in the template; `why` is a fault of the writer's."""
    finding = consensus(evidence).finding
    return Words(
        mode="template",
        findings=finding_sentence(finding),
        impression=NORMAL_IMPRESSION if finding is None else ACUTE_IMPRESSION,
        finding=finding,
        evidence=tuple(evidence),
        confidence=confidence,
        reasons=(Reason(code=why, sentence=_WRITER_SENTENCES[why]),),
    )


def abstained_words(
    evidence: Sequence[RetrievedCase], *, reasons: Sequence[Reason], confidence: float
) -> Words:
    """Return the words of an abstention; normal neighbours are named so that none can be misread.

    The sentence of a normal study, found in a list below an abstention, could be taken for this
    study's; their label stays as it is. A text that is not its finding's sentence could say that in
    words no rule knows: the sentence stands in its place.
    """
    return Words(
        mode="abstained",
        findings=ABSTAINED_FINDINGS,
        impression=ABSTAINED_IMPRESSION,
        finding=None,
        evidence=tuple(_unmistakable(case) for case in evidence),
        confidence=confidence,
        reasons=tuple(reasons),
    )


def _unmistakable(case: RetrievedCase) -> RetrievedCase:
    shown = NORMAL_NEIGHBOUR if case.finding is None else case.finding.sentence()
    return case.model_copy(update={"findings_text": shown})
