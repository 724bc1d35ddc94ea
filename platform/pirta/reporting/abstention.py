"""Does the evidence carry a finding? One confidence, and the named reasons to abstain.

The confidence is the geometric mean of two votes for the same label, the neighbours' (weighted by
similarity) and the classifier's, times a factor for each quality warning: it is high only where
both agree, and there is nothing in it to overfit. Beside it stand two gates on the similarities
alone, since five far neighbours can agree and a classifier be sure of what it has never seen. All
limits come from held-out cases (`abstention_fit`).

Axis suffixes: K the four labels in the order of `LABELS`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pirta.contracts.abstention import AbstentionLimits, Reason, ReasonCode
from pirta.contracts.finding import LABELS, Label
from pirta.contracts.report import RetrievedCase
from pirta.reporting.consensus import consensus

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Signals:
    """What is known of how sure a report can be, whoever writes it.

    Attributes:
        top_similarity: cosine to the nearest neighbour.
        mean_similarity: mean cosine to all neighbours.
        agreement: part of the neighbours' weighted votes for the label, 0 to 1.
        encoder_support: the classifier's probability of the label, 0 to 1.
        num_quality_warnings: gates of the preparation that warned.
    """

    label: Label
    top_similarity: float
    mean_similarity: float
    agreement: float
    encoder_support: float
    num_quality_warnings: int = 0

    def confidence(self, *, quality_factor: float) -> float:
        """Return the confidence in the label, 0 to 1."""
        low, high = sorted((max(0.0, self.agreement), max(0.0, self.encoder_support)))
        # Never below both, not by rounding either: a reason has to be found for a low one.
        votes = max(low, math.sqrt(low) * math.sqrt(high))
        return min(1.0, votes * quality_factor**self.num_quality_warnings)


@dataclass(frozen=True)
class Verdict:
    """How sure, and why not; without a reason the report may state its finding."""

    confidence: float
    reasons: tuple[Reason, ...]

    @property
    def abstains(self) -> bool:
        """True where a finding must not be stated."""
        return bool(self.reasons)


def read_signals(
    evidence: Sequence[RetrievedCase],
    probabilities_K: NDArray[np.float32],
    *,
    label: Label | None = None,
    num_quality_warnings: int = 0,
) -> Signals:
    """Return the signals for one label: the written one, or the neighbours' majority if None.

    `evidence` is not empty and goes from the nearest to the farthest case.
    """
    votes = consensus(evidence)
    judged = votes.label if label is None else label
    similarities = [case.similarity for case in evidence]
    return Signals(
        label=judged,
        top_similarity=similarities[0],
        mean_similarity=sum(similarities) / len(similarities),
        agreement=votes.shares.get(judged, 0.0),
        encoder_support=float(probabilities_K[LABELS.index(judged)]),
        num_quality_warnings=num_quality_warnings,
    )


def judge(signals: Signals, limits: AbstentionLimits) -> Verdict:
    """Return whether the signals carry a finding; each reason that speaks against it is named.

    The reasons name no label: an abstained report must not read as a finding of any kind.
    """
    confidence = signals.confidence(quality_factor=limits.quality_factor)
    reasons = [*_far(signals, limits)]
    if confidence < limits.min_confidence:
        reasons += _unsure(signals, limits, confidence)
    return Verdict(confidence=confidence, reasons=tuple(reasons))


def _far(signals: Signals, limits: AbstentionLimits) -> list[Reason]:
    found = []
    if signals.top_similarity < limits.min_top_similarity:
        found.append(
            Reason(
                code=ReasonCode.LOW_SIMILARITY,
                sentence=f"The nearest case is at a similarity of {signals.top_similarity:.3f}, "
                f"the limit is {limits.min_top_similarity:.3f}.",
            )
        )
    if signals.mean_similarity < limits.min_mean_similarity:
        found.append(
            Reason(
                code=ReasonCode.OUT_OF_DISTRIBUTION,
                sentence="The study is unlike what the index holds: its cases are at a mean "
                f"similarity of {signals.mean_similarity:.3f}, the limit is "
                f"{limits.min_mean_similarity:.3f}.",
            )
        )
    return found


def _unsure(signals: Signals, limits: AbstentionLimits, confidence: float) -> list[Reason]:
    """Name each part below the limit: where the mean is below it, one at least is, or warnings."""
    shown = f"the confidence is {confidence:.2f}, the limit is {limits.min_confidence:.2f}"
    found = []
    if signals.agreement < limits.min_confidence:
        found.append(
            Reason(
                code=ReasonCode.NEIGHBOURS_DISAGREE,
                sentence=f"The similar cases disagree ({signals.agreement:.2f} of their votes "
                f"agree); {shown}.",
            )
        )
    if signals.encoder_support < limits.min_confidence:
        found.append(
            Reason(
                code=ReasonCode.ENCODER_DISAGREES,
                sentence="The image classifier does not support the similar cases "
                f"({signals.encoder_support:.2f}); {shown}.",
            )
        )
    if signals.num_quality_warnings:
        found.append(
            Reason(
                code=ReasonCode.QUALITY_WARNING,
                sentence=f"The images carry {signals.num_quality_warnings} quality warning(s); "
                f"{shown}.",
            )
        )
    assert found, "the mean of two votes is not below both"
    return found
