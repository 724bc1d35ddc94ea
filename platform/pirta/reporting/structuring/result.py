"""What a reader of raw reports hands back: lesions with their evidence, and its own doubts.

A `StructuredReport` is a proposal for a neuroradiologist and never the last word. Each lesion
names the sentences it was read from and the rule behind each slot; each doubt says why a person
should look. The sentences are patient data: they go into the tables for the reader and nowhere
else. Nothing here reads text (`rules`, `llm_reader`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from pirta.contracts.finding import Finding, InfarctType, Laterality, LesionClass, Territory


class Acuity(StrEnum):
    """The stage that the text gives an infarct. Hyperacute, recent and new count as acute."""

    ACUTE = "acute"
    SUBACUTE = "subacute"
    CHRONIC = "chronic"
    UNSTATED = "unstated"


class Certainty(StrEnum):
    """How firmly the text says that a lesion is there."""

    STATED = "stated"
    PROBABLE = "probable"
    POSSIBLE = "possible"


class Doubt(StrEnum):
    """Why a person should look. The order is that of the reasons in the table."""

    NOTHING_SAID = "nothing_said"
    TERRITORY_MISSING = "territory_missing"
    SEVERAL_TERRITORIES = "several_territories"
    ONLY_POSSIBLE = "only_possible"
    ACUITY_UNSTATED = "acuity_unstated"
    SECTIONS_DISAGREE = "sections_disagree"
    NOT_ISCHEMIC = "not_ischemic"
    READERS_DISAGREE = "readers_disagree"
    SECOND_READER_FAILED = "second_reader_failed"
    ONLY_PROBABLE = "only_probable"
    TERRITORY_BY_CONVENTION = "territory_by_convention"
    TYPE_INFERRED = "type_inferred"
    CLASS_INFERRED = "class_inferred"
    SPELLING_CORRECTED = "spelling_corrected"

    @property
    def needs_review(self) -> bool:
        """Whether the proposal itself is unsure; the others only lower the confidence."""
        return self not in _MINOR_DOUBTS


_MINOR_DOUBTS = frozenset(
    {
        Doubt.ONLY_PROBABLE,
        Doubt.TERRITORY_BY_CONVENTION,
        Doubt.TYPE_INFERRED,
        Doubt.CLASS_INFERRED,
        Doubt.SPELLING_CORRECTED,
    }
)


class Confidence(StrEnum):
    """How much of a proposal stands in the text."""

    HIGH = "high"  # every slot is stated
    MEDIUM = "medium"  # a slot was inferred, or a word corrected
    LOW = "low"  # needs review


@dataclass(frozen=True)
class Evidence:
    """One step of a reading: the sentence as written, and the rule that used it."""

    sentence_index: int
    sentence: str
    rule: str


@dataclass(frozen=True)
class Lesion:
    """One infarct pattern of a report. Slots that the text leaves open are None.

    Attributes:
        inferred: names of slots that were filled by a rule of habit and not by a word.
    """

    territory: Territory | None
    lesion_class: LesionClass
    infarct_type: InfarctType
    laterality: Laterality | None
    multifocal: bool
    acuity: Acuity
    certainty: Certainty
    inferred: frozenset[str]
    evidence: tuple[Evidence, ...]

    @property
    def finding(self) -> Finding | None:
        """The paper's finding; None where no territory is known."""
        if self.territory is None:
            return None
        return Finding(
            lesion_class=self.lesion_class,
            infarct_type=self.infarct_type,
            territory=self.territory,
            laterality=self.laterality,
            multifocal=self.multifocal,
        )


@dataclass(frozen=True)
class StructuredReport:
    """A report, read. Lesions go from the main one down; chronic ones stand apart.

    Attributes:
        is_normal: the text denies a recent infarct. False with no lesion means "cannot tell".
        doubts: in the order of `Doubt`, each once.
    """

    lesions: tuple[Lesion, ...]
    chronic: tuple[Lesion, ...]
    is_normal: bool
    normal_evidence: tuple[Evidence, ...]
    doubts: tuple[Doubt, ...]

    @property
    def main_lesion(self) -> Lesion | None:
        """The lesion that stands for the report, of known territory."""
        return next((lesion for lesion in self.lesions if lesion.territory is not None), None)

    @property
    def main_finding(self) -> Finding | None:
        """The paper's one finding a report; None is normal or undecided (see `is_normal`)."""
        lesion = self.main_lesion
        return None if lesion is None else lesion.finding

    @property
    def needs_review(self) -> bool:
        """Whether any doubt asks for a person before the proposal is worth correcting."""
        return any(doubt.needs_review for doubt in self.doubts)

    @property
    def confidence(self) -> Confidence:
        """One word for the table."""
        if self.needs_review:
            return Confidence.LOW
        return Confidence.MEDIUM if self.doubts else Confidence.HIGH


class ReportReader(Protocol):
    """Whoever reads a raw report: the rules, or a language model."""

    def read(self, text: str) -> StructuredReport:
        """Return what the report says.

        Raises:
            PirtaError: the text cannot be read, or the reader gave no usable answer. The message
                holds none of the text.
        """
        ...


def in_order(doubts: Iterable[Doubt]) -> tuple[Doubt, ...]:
    """Return each doubt once, in the order of the enumeration."""
    found = set(doubts)
    return tuple(doubt for doubt in Doubt if doubt in found)
