"""The answer's form: 31 legal answers, and nothing else."""

from __future__ import annotations

import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pirta.contracts.finding import Finding, InfarctType, LesionClass, Territory
from pirta.errors import WriterOutputError
from pirta.reporting.answer import ANSWER_REGEX, answer_text, parse_answer, parse_sentence
from tests.unit.reporting.examples import ANTERIOR

ALL_FINDINGS: list[Finding | None] = [
    None,
    *(
        Finding(lesion_class=lesion_class, infarct_type=infarct_type, territory=territory)
        for lesion_class, infarct_type, territory in itertools.product(
            LesionClass, InfarctType, Territory
        )
    ),
]
GOOD = answer_text(ANTERIOR)


@pytest.mark.parametrize("finding", ALL_FINDINGS, ids=str)
def test_every_finding_makes_the_round_trip_and_fits_the_regex(finding: Finding | None) -> None:
    text = answer_text(finding)
    assert re.fullmatch(ANSWER_REGEX, text)
    answer = parse_answer(text)
    assert answer.finding == finding
    assert text == f"Findings: {answer.findings}\nImpression: {answer.impression}"


def test_the_regex_holds_only_groups_alternations_and_escaped_stops() -> None:
    rest = re.sub(r"\\\.|\\n|[A-Za-z0-9 :\-\n()|]", "", ANSWER_REGEX)
    assert rest == ""
    assert "(?" not in ANSWER_REGEX


@given(st.from_regex(ANSWER_REGEX, fullmatch=True))
def test_whatever_the_regex_lets_through_is_understood(text: str) -> None:
    assert answer_text(parse_answer(text).finding) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Acute infarction",
        GOOD.replace("\n", " "),
        GOOD + "\nRecommendation: MRA",
        GOOD.replace("mild", "severe"),
        GOOD.replace("anterior", "cerebral"),
        GOOD.replace("Impression: Acute infarction", "Impression: Tumour"),
        "Findings: There is a diffusion restriction.\nImpression: Acute infarction",
    ],
)
def test_a_text_outside_the_form_is_refused(text: str) -> None:
    with pytest.raises(WriterOutputError, match="The writer's answer"):
        parse_answer(text)


@pytest.mark.parametrize(
    "text",
    [
        GOOD.replace("Acute infarction", "No acute infarction"),
        answer_text(None).replace("No acute infarction", "Acute infarction"),
    ],
)
def test_findings_and_impression_that_contradict_are_refused(text: str) -> None:
    with pytest.raises(WriterOutputError, match="contradicts itself"):
        parse_answer(text)
    assert not re.fullmatch(ANSWER_REGEX, text)


def test_white_space_around_the_answer_does_not_matter() -> None:
    assert parse_answer(f"\n {GOOD}\n").finding == ANTERIOR


def test_a_refusal_does_not_repeat_the_text() -> None:
    with pytest.raises(WriterOutputError) as caught:
        parse_answer("Findings: Mrs Smith is well.\nImpression: Acute infarction")
    assert "Smith" not in str(caught.value)


def test_a_sentence_alone_is_understood() -> None:
    assert parse_sentence(ANTERIOR.sentence()) == ANTERIOR
    assert parse_sentence("There is no diffusion restriction.") is None
