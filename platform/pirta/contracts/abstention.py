"""When a report says that it does not know: the limits, and the reasons in words.

The limits belong to one encoder on one index and are fitted on held-out cases
(`pirta.reporting.abstention_fit`), so they are stored with the release. The defaults are for an
index that nobody has calibrated yet: they know no distribution of similarities. Nothing is
decided here; see `pirta.reporting.abstention`.
"""

from __future__ import annotations

from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field


class ReasonCode(StrEnum):
    """Why a report is not a written one; stable names, for dashboards and tables."""

    LOW_SIMILARITY = "low_similarity"
    OUT_OF_DISTRIBUTION = "out_of_distribution"
    NEIGHBOURS_DISAGREE = "neighbours_disagree"
    ENCODER_DISAGREES = "encoder_disagrees"
    QUALITY_WARNING = "quality_warning"
    CONTRADICTION = "contradiction"
    WRITER_DOWN = "writer_down"
    WRITER_LATE = "writer_late"


class Reason(BaseModel):
    """One reason: its code, and a sentence for the reader that names no patient and no finding."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    code: ReasonCode
    sentence: str


class AbstentionLimits(BaseModel):
    """Where a report stops to state a finding.

    Attributes:
        min_top_similarity: cosine to the nearest case below which it is not near.
        min_mean_similarity: mean cosine to the neighbours below which the study lies outside
            what the index knows; -1 is no limit.
        min_confidence: of the study's confidence, 0 to 1.
        quality_factor: what each quality warning multiplies the confidence with.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    min_top_similarity: float = Field(default=0.5, ge=-1, le=1)
    min_mean_similarity: float = Field(default=-1.0, ge=-1, le=1)
    min_confidence: float = Field(default=0.7, ge=0, le=1)
    quality_factor: float = Field(default=0.95, gt=0, le=1)
