"""Reasons for a reader's caution, found by comparing the parts of a report with each other.

The paper's one shown failure (an amygdala infarct called deep gray) had its neighbours at a
similarity of 0.46; such cases carry a warning here instead of an equally confident sentence.
Each rule gives at most one sentence. Nothing here changes a report or refuses one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pirta.contracts.finding import Finding, Label, finding_sentence, label_of
from pirta.contracts.report import RetrievedCase
from pirta.reporting.consensus import consensus


@dataclass(frozen=True)
class CautionLimits:
    """Where caution starts.

    Attributes:
        low_similarity: cosine similarity of the nearest case below which it is not near.
    """

    low_similarity: float = 0.5


PATIENT_UNKNOWN = (
    "Neither the images nor the request name the patient: the patient's own earlier cases may be "
    "among the similar cases."
)
DEFAULT_LIMITS = CautionLimits()


def cautions(
    *,
    evidence: Sequence[RetrievedCase],
    top_k: int,
    encoder_label: Label,
    encoder_probability: float,
    finding: Finding | None,
    states_finding: bool = True,
    facts: Mapping[str, float | str | bool],
    knows_patient: bool,
    limits: CautionLimits = DEFAULT_LIMITS,
) -> tuple[str, ...]:
    """Return one sentence for each reason; empty where there is none.

    `evidence` is not empty and goes from the nearest to the farthest case. Where the report
    abstains (`states_finding` False) there is no finding to compare. `knows_patient` says whether
    the search knew whose own cases to leave out.
    """
    votes = Counter(case.label for case in evidence)
    majority = consensus(evidence).label
    compared = [
        *_disagreement(majority, encoder_label, encoder_probability, label_of(finding)),
        *_unsupported_sentence(evidence, finding),
    ]
    found = [
        *_weak_evidence(evidence, top_k, limits),
        *_split_evidence(votes),
        *(compared if states_finding else ()),
        *([] if knows_patient else [PATIENT_UNKNOWN]),
        *_of_preparation(facts),
    ]
    return tuple(dict.fromkeys(found))


def _weak_evidence(
    evidence: Sequence[RetrievedCase], top_k: int, limits: CautionLimits
) -> list[str]:
    found = []
    top = evidence[0].similarity
    if top < limits.low_similarity:
        found.append(
            f"Low similarity: the nearest case is at {top:.2f}, below "
            f"{limits.low_similarity:.2f}; the index may hold no case like this one."
        )
    if len(evidence) < top_k:
        found.append(f"Only {len(evidence)} of {top_k} similar cases were found.")
    return found


def _split_evidence(votes: Counter[Label]) -> list[str]:
    if len(votes) == 1:
        return []
    shares = ", ".join(f"{count} {spoken(label)}" for label, count in votes.most_common())
    return [f"The similar cases disagree: {shares}."]


def _disagreement(
    majority: Label, encoder_label: Label, encoder_probability: float, written: Label
) -> list[str]:
    classifier = f"the image classifier says {spoken(encoder_label)} ({encoder_probability:.2f})"
    if written == majority == encoder_label:
        return []
    if written == majority:
        return [f"The findings say {spoken(written)}, but {classifier}."]
    if written == encoder_label:
        return [
            f"The findings and the image classifier say {spoken(written)}, but most similar "
            f"cases are {spoken(majority)}."
        ]
    return [
        f"The findings say {spoken(written)}, but most similar cases are {spoken(majority)} "
        f"and {classifier}."
    ]


def _unsupported_sentence(evidence: Sequence[RetrievedCase], finding: Finding | None) -> list[str]:
    sentence = finding_sentence(finding)
    if any(case.findings_text == sentence for case in evidence):
        return []
    return ["The findings sentence stands in none of the similar cases."]


def _of_preparation(facts: Mapping[str, float | str | bool]) -> list[str]:
    """The preparer's own sentences: those under `warnings`, one a line."""
    return [line.strip() for line in str(facts.get("warnings", "")).splitlines() if line.strip()]


def spoken(label: Label) -> str:
    """Return a label as a reader would say it ("deep gray")."""
    return label.value.replace("_", " ")
