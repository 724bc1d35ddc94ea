"""The neighbours' majority: weighted by similarity, label first, ties to the nearest."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pirta.contracts.finding import Label, Laterality, finding_sentence, label_of
from pirta.contracts.report import RetrievedCase
from pirta.reporting.consensus import consensus, majority, vote_shares, vote_weights, without_side
from tests.unit.reporting.drafts import any_evidence
from tests.unit.reporting.examples import ANTERIOR, DEEP, case, cases


def test_the_label_with_the_most_similarity_wins() -> None:
    near_two = (case(ANTERIOR, 0.9), case(DEEP, 0.4), case(ANTERIOR, 0.3), case(DEEP, 0.2))
    assert consensus(near_two).label is Label.ANTERIOR
    outvoted = (case(ANTERIOR, 0.9), case(DEEP, 0.8), case(DEEP, 0.7))
    assert consensus(outvoted).label is Label.DEEP_GRAY
    assert consensus(outvoted).agreement == pytest.approx(1.5 / 2.4)


def test_variants_of_one_territory_do_not_lose_to_two_equal_normals() -> None:
    variants = [
        ANTERIOR,
        ANTERIOR.model_copy(update={"infarct_type": DEEP.infarct_type}),
        ANTERIOR.model_copy(update={"lesion_class": DEEP.lesion_class}),
    ]
    found = consensus(cases(variants[0], None, variants[1], None, variants[2]))
    assert found.label is Label.ANTERIOR
    assert found.finding == ANTERIOR  # the nearest of three different sentences


def test_a_tie_goes_to_the_nearest() -> None:
    assert consensus((case(DEEP, 0.5), case(ANTERIOR, 0.5))).label is Label.DEEP_GRAY
    assert majority(["b", "a", "a", "b"]) == "b"


def test_neighbours_without_any_similarity_vote_alike() -> None:
    assert vote_weights([-0.1, -0.5]) == [1.0, 1.0]
    assert vote_weights([0.5, -0.5]) == [0.5, 0.0]
    assert consensus((case(DEEP, -0.1), case(None, -0.2), case(None, -0.3))).label is Label.NORMAL


def test_a_neighbours_side_is_not_the_patients() -> None:
    sided = ANTERIOR.model_copy(update={"laterality": Laterality.LEFT, "multifocal": True})
    assert consensus((case(sided, 0.9),)).finding == ANTERIOR
    assert without_side(None) is None


@settings(deadline=None)
@given(any_evidence())
def test_the_shares_sum_to_one_and_the_winner_has_the_largest(
    evidence: tuple[RetrievedCase, ...],
) -> None:
    found = consensus(evidence)
    assert sum(found.shares.values()) == pytest.approx(1)
    assert found.agreement == pytest.approx(max(found.shares.values()))
    assert label_of(found.finding) is found.label
    assert finding_sentence(found.finding) in {item.findings_text for item in evidence}


@settings(deadline=None)
@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=9))
def test_unweighted_shares_are_counts(items: Sequence[str]) -> None:
    slow = {item: items.count(item) / len(items) for item in items}
    assert vote_shares(items) == pytest.approx(slow)
    best = max(slow.values())
    assert majority(items) == next(item for item in items if slow[item] == best)
