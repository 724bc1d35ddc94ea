"""Is a draft held up by what it was written from? The checks before a report leaves.

Four sources may name something: the registry, the neighbours, the encoder's classifier, and the
sides that an image analysis found (none today). The rules, each with its code:

- registry_...: presentation, NIHSS and history equal what code makes of the registry's row.
- findings_form: each sentence of the findings is one of the legal ones.
- findings_contradict: the sentences do not say "restriction" and "none" at once.
- territory_unsupported: the label of a sentence (a territory, or normal) is the neighbours'
  majority, or has `SUPPORT_SHARE` of their votes, or is the classifier's. One neighbour of five
  is no support: that is how one poisoned case would get into a report.
- class_unsupported, type_unsupported: lesion class and infarct type each stand in a neighbour of
  the same label; where only the classifier names the label, in any neighbour with a lesion.
- impression_contradicts: the impression follows from the findings.
- side_unsourced: no side is named that no source names. A neighbour's side is no source.
- statement_unsourced: nothing else is stated in findings or impression.

Nothing is repaired here. `supported_findings` says what could be written instead.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from pirta.contracts.finding import (
    Finding,
    InfarctType,
    Label,
    Laterality,
    LesionClass,
    Territory,
    label_of,
)
from pirta.contracts.report import ACUTE_IMPRESSION, NORMAL_IMPRESSION, RetrievedCase
from pirta.contracts.study import Registry
from pirta.errors import WriterOutputError
from pirta.reporting.answer import parse_sentence
from pirta.reporting.consensus import consensus
from pirta.reporting.registry_text import history_text, nihss_text, presentation_sentence

# Two of five neighbours are support, one of five is not.
SUPPORT_SHARE = 0.3

_SENTENCE_END = re.compile(r"(?<=[.!?;])\s+|\n+")
_SIDES = {
    Laterality.LEFT: re.compile(r"\b(left|lt|left-sided)\b", re.IGNORECASE),
    Laterality.RIGHT: re.compile(r"\b(right|rt|right-sided)\b", re.IGNORECASE),
    Laterality.BILATERAL: re.compile(r"\b(bilateral|bilaterally|both sides)\b", re.IGNORECASE),
}


class ContradictionCode(StrEnum):
    """The rules of this file; stable names."""

    REGISTRY_PRESENTATION = "registry_presentation"
    REGISTRY_NIHSS = "registry_nihss"
    REGISTRY_HISTORY = "registry_history"
    FINDINGS_FORM = "findings_form"
    FINDINGS_CONTRADICT = "findings_contradict"
    TERRITORY_UNSUPPORTED = "territory_unsupported"
    CLASS_UNSUPPORTED = "class_unsupported"
    TYPE_UNSUPPORTED = "type_unsupported"
    IMPRESSION_CONTRADICTS = "impression_contradicts"
    SIDE_UNSOURCED = "side_unsourced"
    STATEMENT_UNSOURCED = "statement_unsourced"


_SENTENCES = {
    ContradictionCode.REGISTRY_PRESENTATION: "The presentation differs from the registry.",
    ContradictionCode.REGISTRY_NIHSS: "The NIHSS differs from the registry.",
    ContradictionCode.REGISTRY_HISTORY: "The history differs from the registry.",
    ContradictionCode.FINDINGS_FORM: "The findings are not in the report's form.",
    ContradictionCode.FINDINGS_CONTRADICT: "The findings state a lesion and none at once.",
    ContradictionCode.TERRITORY_UNSUPPORTED: (
        "Neither the similar cases nor the image classifier support the territory written."
    ),
    ContradictionCode.CLASS_UNSUPPORTED: "No similar case supports the lesion class written.",
    ContradictionCode.TYPE_UNSUPPORTED: "No similar case supports the infarct type written.",
    ContradictionCode.IMPRESSION_CONTRADICTS: "The impression does not follow from the findings.",
    ContradictionCode.SIDE_UNSOURCED: "A side is named that no source names.",
    ContradictionCode.STATEMENT_UNSOURCED: "Something is stated that no source states.",
}


@dataclass(frozen=True)
class Contradiction:
    """One rule that a draft breaks; the sentence is the rule's and holds nothing of the draft."""

    code: ContradictionCode

    @property
    def sentence(self) -> str:
        """What is wrong, for the reader."""
        return _SENTENCES[self.code]


@dataclass(frozen=True)
class Grounding:
    """What the checks found: each broken rule once, in the order of the rules."""

    contradictions: tuple[Contradiction, ...]

    @property
    def holds(self) -> bool:
        """True where nothing contradicts the sources."""
        return not self.contradictions


@dataclass(frozen=True)
class Draft:
    """The five parts as they are about to leave."""

    clinical_presentation: str
    nihss: str
    past_medical_history: str
    findings: str
    impression: str


@dataclass(frozen=True)
class Sources:
    """What a draft may draw on.

    Attributes:
        evidence: the neighbours, nearest first, at least one.
        sides: that an analysis of this patient's images names.
    """

    registry: Registry
    evidence: Sequence[RetrievedCase]
    encoder_label: Label
    sides: Collection[Laterality] = field(default=())


def ground(draft: Draft, sources: Sources) -> Grounding:
    """Return which rules the draft breaks, if any."""
    found = {
        *_against_registry(draft, sources.registry),
        *_of_findings(draft, sources),
        *_of_impression(draft),
        *_of_sides(draft, sources),
    }
    return Grounding(tuple(Contradiction(code) for code in ContradictionCode if code in found))


def _unsupported(
    finding: Finding | None, labels: Collection[Label], sources: Sources
) -> Iterator[ContradictionCode]:
    """The rules of support that a finding breaks, given the supported labels."""
    label = label_of(finding)
    if label not in labels:
        yield ContradictionCode.TERRITORY_UNSUPPORTED
    if finding is None:
        return
    known = _findings_beside(label, sources)
    if finding.lesion_class not in {one.lesion_class for one in known}:
        yield ContradictionCode.CLASS_UNSUPPORTED
    if finding.infarct_type not in {one.infarct_type for one in known}:
        yield ContradictionCode.TYPE_UNSUPPORTED


def supported_findings(sources: Sources) -> tuple[Finding | None, ...]:
    """Return every legal finding that the sources hold up; the neighbours' majority is in it."""
    legal: list[Finding | None] = [None]
    legal += [
        Finding(lesion_class=lesion_class, infarct_type=infarct_type, territory=territory)
        for lesion_class, infarct_type, territory in itertools.product(
            LesionClass, InfarctType, Territory
        )
    ]
    labels = _supported_labels(sources)
    return tuple(finding for finding in legal if not any(_unsupported(finding, labels, sources)))


def _supported_labels(sources: Sources) -> set[Label]:
    votes = consensus(sources.evidence)
    backed = {label for label, share in votes.shares.items() if share >= SUPPORT_SHARE}
    return {votes.label, sources.encoder_label, *backed}


def _findings_beside(label: Label, sources: Sources) -> list[Finding]:
    """The neighbours' findings that may lend class and type to a lesion of this label."""
    lesions = [case.finding for case in sources.evidence if case.finding is not None]
    same = [finding for finding in lesions if finding.label is label]
    return same or lesions


def _against_registry(draft: Draft, registry: Registry) -> Iterator[ContradictionCode]:
    if draft.clinical_presentation != presentation_sentence(registry):
        yield ContradictionCode.REGISTRY_PRESENTATION
    if draft.nihss != nihss_text(registry):
        yield ContradictionCode.REGISTRY_NIHSS
    if draft.past_medical_history != history_text(registry):
        yield ContradictionCode.REGISTRY_HISTORY


def _of_findings(draft: Draft, sources: Sources) -> Iterator[ContradictionCode]:
    stated: list[Finding | None] = []
    for sentence in _sentences(draft.findings):
        try:
            stated.append(parse_sentence(sentence))
        except WriterOutputError:
            yield ContradictionCode.STATEMENT_UNSOURCED
    if not stated:
        yield ContradictionCode.FINDINGS_FORM
        return
    if None in stated and any(stated):
        yield ContradictionCode.FINDINGS_CONTRADICT
    labels = _supported_labels(sources)
    for finding in stated:
        yield from _unsupported(finding, labels, sources)
    wanted = ACUTE_IMPRESSION if any(stated) else NORMAL_IMPRESSION
    other = NORMAL_IMPRESSION if any(stated) else ACUTE_IMPRESSION
    said = [sentence.rstrip(".") for sentence in _sentences(draft.impression)]
    if wanted not in said or other in said:
        yield ContradictionCode.IMPRESSION_CONTRADICTS


def _of_impression(draft: Draft) -> Iterator[ContradictionCode]:
    for sentence in _sentences(draft.impression):
        if sentence.rstrip(".") not in (ACUTE_IMPRESSION, NORMAL_IMPRESSION):
            yield ContradictionCode.STATEMENT_UNSOURCED


def _of_sides(draft: Draft, sources: Sources) -> Iterator[ContradictionCode]:
    said = f"{draft.findings}\n{draft.impression}"
    for side, pattern in _SIDES.items():
        if side not in sources.sides and pattern.search(said):
            yield ContradictionCode.SIDE_UNSOURCED


def _sentences(text: str) -> list[str]:
    return [part.strip() for part in _SENTENCE_END.split(text) if part.strip()]
