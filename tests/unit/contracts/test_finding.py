"""Findings: the paper's sentence to the letter, and the label that follows from the territory."""

from __future__ import annotations

import itertools

import pytest
from pydantic import ValidationError

from pirta.contracts.finding import (
    LABELS,
    NORMAL_SENTENCE,
    Finding,
    InfarctType,
    Label,
    LesionClass,
    Territory,
    finding_sentence,
    label_of,
)

EVERY_FINDING = [
    Finding(lesion_class=lesion_class, infarct_type=infarct_type, territory=territory)
    for lesion_class, infarct_type, territory in itertools.product(
        LesionClass, InfarctType, Territory
    )
]

TABLE_1 = {
    "There is mild large vascular territorial diffusion restriction "
    "in the anterior circulation territory.": (
        LesionClass.MILD,
        InfarctType.LARGE_VASCULAR,
        Territory.ANTERIOR,
    ),
    "There is strong small diffusion restriction in the posterior circulation territory.": (
        LesionClass.STRONG,
        InfarctType.SMALL,
        Territory.POSTERIOR,
    ),
    "There is mild small lacune diffusion restriction in the deep gray matter territory.": (
        LesionClass.MILD,
        InfarctType.SMALL_LACUNE,
        Territory.DEEP_GRAY,
    ),
}


@pytest.mark.parametrize(("sentence", "parts"), TABLE_1.items())
def test_the_sentence_has_the_form_of_table_1(
    sentence: str, parts: tuple[LesionClass, InfarctType, Territory]
) -> None:
    lesion_class, infarct_type, territory = parts
    finding = Finding(lesion_class=lesion_class, infarct_type=infarct_type, territory=territory)
    assert finding.sentence() == sentence == finding_sentence(finding)


def test_no_two_findings_share_a_sentence() -> None:
    sentences = {finding.sentence() for finding in EVERY_FINDING}
    assert len(sentences) == len(EVERY_FINDING) == 30


def test_side_and_number_do_not_enter_the_sentence() -> None:
    plain = EVERY_FINDING[0]
    described = Finding.model_validate(
        {**plain.model_dump(), "laterality": "left", "multifocal": True}
    )
    assert described.sentence() == plain.sentence()
    assert described != plain


def test_a_normal_study_has_a_sentence_and_a_label() -> None:
    assert finding_sentence(None) == NORMAL_SENTENCE
    assert label_of(None) is Label.NORMAL


def test_every_territory_has_a_label_of_its_own_and_none_is_normal() -> None:
    labels = {finding.territory: finding.label for finding in EVERY_FINDING}
    assert set(labels.values()) == set(LABELS) - {Label.NORMAL}
    assert all(label_of(finding) is finding.label for finding in EVERY_FINDING)


def test_the_order_of_the_logits_never_changes() -> None:
    assert [str(label) for label in LABELS] == ["normal", "anterior", "deep_gray", "posterior"]


@pytest.mark.parametrize("finding", EVERY_FINDING, ids=lambda finding: finding.sentence()[9:60])
def test_a_finding_comes_back_from_json(finding: Finding) -> None:
    assert Finding.model_validate_json(finding.model_dump_json()) == finding


def test_an_infarct_type_outside_the_paper_is_refused() -> None:
    with pytest.raises(ValidationError):
        Finding.model_validate(
            {"lesion_class": "strong", "infarct_type": "huge", "territory": "deep gray matter"}
        )
