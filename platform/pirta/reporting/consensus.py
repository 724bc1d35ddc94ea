"""What the neighbours say together: the one place where their votes are counted.

A neighbour votes with its similarity. The label is elected first, and the sentence among the
neighbours of that label only: five cases of one territory that differ in type must not lose to
two normal ones that agree to the letter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from pirta.contracts.finding import Finding, Label, finding_sentence
from pirta.contracts.report import RetrievedCase

T = TypeVar("T")


@dataclass(frozen=True)
class Consensus:
    """The neighbours' majority.

    Attributes:
        finding: of the nearest neighbour that has the elected sentence, without its side: a
            neighbour's side is not this patient's.
        shares: each label's part of the votes, the largest first; they sum to 1.
    """

    label: Label
    finding: Finding | None
    shares: Mapping[Label, float]

    @property
    def agreement(self) -> float:
        """The part of the votes that the elected label has."""
        return self.shares[self.label]


def consensus(evidence: Sequence[RetrievedCase]) -> Consensus:
    """Return what the neighbours say; they go from the nearest to the farthest, at least one."""
    weights = vote_weights([case.similarity for case in evidence])
    shares = vote_shares([case.label for case in evidence], weights)
    label = next(iter(shares))
    voters = [
        (case.finding, weight)
        for case, weight in zip(evidence, weights, strict=True)
        if case.label is label
    ]
    sentences = [finding_sentence(finding) for finding, _ in voters]
    elected = majority(sentences, [weight for _, weight in voters])
    finding = voters[sentences.index(elected)][0]
    return Consensus(label=label, finding=without_side(finding), shares=shares)


def vote_weights(similarities: Sequence[float]) -> list[float]:
    """Return each neighbour's weight: its similarity, and equal ones where none is above 0."""
    weights = [max(0.0, similarity) for similarity in similarities]
    return weights if any(weights) else [1.0] * len(weights)


def vote_shares(items: Sequence[T], weights: Sequence[float] | None = None) -> dict[T, float]:
    """Return each item's part of the votes, the largest first; of equal ones, the first seen.

    Without weights each item has one vote. There is at least one item of a weight above 0.
    """
    weights = [1.0] * len(items) if weights is None else weights
    votes: dict[T, float] = {}
    for item, weight in zip(items, weights, strict=True):
        votes[item] = votes.get(item, 0.0) + weight
    total = sum(votes.values())
    # Rounded, so that sums taken in another order do not break a tie; sorting is stable.
    ranked = sorted(votes, key=lambda item: -round(votes[item] / total, 9))
    return {item: votes[item] / total for item in ranked}


def majority(items: Sequence[T], weights: Sequence[float] | None = None) -> T:
    """Return the item with the most votes; of equal ones, the first seen."""
    return next(iter(vote_shares(items, weights)))


def without_side(finding: Finding | None) -> Finding | None:
    """Return a finding as its sentence says it: side and multiplicity do not enter it."""
    if finding is None:
        return None
    return finding.model_copy(update={"laterality": None, "multifocal": False})
