"""The paper's structured finding, and the sentence it is written as.

A case has one finding or none (a normal study). Classes, infarct types and territories are
those of the paper (section 2.3.1); laterality and multiplicity are kept beside them and do
not enter the sentence, whose form is Table 1's to the letter.
"""

from __future__ import annotations

from enum import StrEnum

from pydantic import BaseModel, ConfigDict


class LesionClass(StrEnum):
    """How conspicuous the diffusion restriction is (the paper's "class")."""

    STRONG = "strong"
    MILD = "mild"


class InfarctType(StrEnum):
    """The paper's five infarction types, as they stand in the sentence."""

    LARGE_VASCULAR = "large vascular territorial"
    WEDGE_VASCULAR = "wedge-shaped vascular territorial"
    SMALL_LACUNE = "small lacune"
    SMALL_STRIATO_CAPSULAR = "small striato-capsular"
    SMALL = "small"


class Territory(StrEnum):
    """The paper's three ischemic territories."""

    ANTERIOR = "anterior circulation"
    DEEP_GRAY = "deep gray matter"
    POSTERIOR = "posterior circulation"


class Laterality(StrEnum):
    """The patient's side, never the screen's."""

    LEFT = "left"
    RIGHT = "right"
    BILATERAL = "bilateral"


class Label(StrEnum):
    """The encoder's four classes, in the order of its logits."""

    NORMAL = "normal"
    ANTERIOR = "anterior"
    DEEP_GRAY = "deep_gray"
    POSTERIOR = "posterior"


LABELS: tuple[Label, ...] = tuple(Label)

_LABEL_OF_TERRITORY = {
    Territory.ANTERIOR: Label.ANTERIOR,
    Territory.DEEP_GRAY: Label.DEEP_GRAY,
    Territory.POSTERIOR: Label.POSTERIOR,
}

NORMAL_SENTENCE = "There is no diffusion restriction."


class Finding(BaseModel):
    """One acute infarct pattern."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    lesion_class: LesionClass
    infarct_type: InfarctType
    territory: Territory
    laterality: Laterality | None = None
    multifocal: bool = False

    def sentence(self) -> str:
        """Return the finding in the form of the paper's Table 1."""
        return (
            f"There is {self.lesion_class} {self.infarct_type} diffusion restriction "
            f"in the {self.territory} territory."
        )

    @property
    def label(self) -> Label:
        """The encoder class that this finding belongs to."""
        return _LABEL_OF_TERRITORY[self.territory]


def finding_sentence(finding: Finding | None) -> str:
    """Return the sentence of a finding, or the one for a normal study."""
    return NORMAL_SENTENCE if finding is None else finding.sentence()


def label_of(finding: Finding | None) -> Label:
    """Return the encoder class of a finding, or `normal`."""
    return Label.NORMAL if finding is None else finding.label
