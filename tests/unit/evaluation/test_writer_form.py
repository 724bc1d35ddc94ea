"""A report's text read back: the form, what it states, and the registry's parts in it."""

from __future__ import annotations

import pytest

from pirta.contracts.finding import Laterality
from pirta.contracts.report import Provenance, Report
from pirta.contracts.study import Registry
from pirta.evaluation.writer_form import keeps_registry, read_report
from pirta.reporting.answer import answer_text, parse_answer
from pirta.reporting.registry_text import history_text, nihss_text, presentation_sentence
from pirta.reporting.render import render_text
from tests.unit.evaluation.writers import ANTERIOR, PARTS, REGISTRY, abstains, near, says
from tests.unit.reporting.drafts import LEGAL


def test_every_legal_answer_is_read_as_the_writers_own_parser_reads_it() -> None:
    for finding in LEGAL:
        read = read_report(PARTS + answer_text(finding))
        assert read is not None
        assert read.states
        assert read.finding == parse_answer(answer_text(finding)).finding


@pytest.mark.parametrize(
    "answer",
    [
        "Findings: There is a stroke.\nImpression: Acute infarction",
        "Findings: There is no diffusion restriction.\nImpression: Acute infarction",
        "Findings: There is no diffusion restriction.\nImpression: No acute infarction, left",
        "Findings: There is no diffusion restriction.\nImpression: No acute infarction\nMore",
        "Findings: There is no diffusion restriction.",
        "",
    ],
)
def test_what_says_less_or_more_than_the_form_is_out_of_form(answer: str) -> None:
    assert read_report(PARTS + answer) is None


def test_a_report_twice_in_one_text_is_out_of_form() -> None:
    assert read_report(f"{says(None).text}\n\n{says(ANTERIOR).text}") is None


def test_an_abstention_is_in_form_and_states_nothing_least_of_all_normal() -> None:
    told = abstains()
    assert told.read is not None
    assert told.read.abstains
    assert (told.states, told.label) == (False, None)


def test_a_report_as_the_service_renders_it_is_in_form_and_keeps_the_registry() -> None:
    report = Report(
        study_id="study",
        clinical_presentation=presentation_sentence(REGISTRY),
        nihss=nihss_text(REGISTRY),
        past_medical_history=history_text(REGISTRY),
        findings=ANTERIOR.sentence(),
        impression="Acute infarction",
        finding=ANTERIOR,
        encoder_label=ANTERIOR.label,
        encoder_probability=0.9,
        evidence=(near(None), near(ANTERIOR)),
        provenance=Provenance(**dict.fromkeys(Provenance.model_fields, "a test")),
    )
    read = read_report(render_text(report))
    assert read is not None
    assert read.finding == ANTERIOR
    assert keeps_registry(read, REGISTRY)


@pytest.mark.parametrize(
    "registry",
    [
        Registry(),
        Registry(age_years=8, presentation="weakness."),
        Registry(sex="Male", nihss=0),
        Registry(presentation="patient with a patient with", history=("DM",)),
    ],
)
def test_what_the_service_makes_of_a_row_keeps_it(registry: Registry) -> None:
    text = (
        f"Clinical Presentation: {presentation_sentence(registry)}\n"
        f"NIHSS: {nihss_text(registry)}\nPast Medical History: {history_text(registry)}\n"
        "Findings: There is no diffusion restriction.\nImpression: No acute infarction"
    )
    read = read_report(text)
    assert read is not None
    assert keeps_registry(read, registry)


@pytest.mark.parametrize(
    ("word", "other"),
    [
        ("75", "57"),
        ("Female", "Male"),
        ("Altered Mentality", "altered mentality"),
        ("32.0", "3.0"),
        ("HTN, Afib", "HTN"),
        ("A 75-year-old", "The 75-year-old"),
    ],
)
def test_one_letter_that_differs_from_the_registry_is_seen(word: str, other: str) -> None:
    read = read_report(says(None).text.replace(word, other))
    assert read is not None
    assert not keeps_registry(read, REGISTRY)


def test_a_side_is_not_part_of_a_legal_sentence() -> None:
    sided = ANTERIOR.model_copy(update={"laterality": Laterality.LEFT})
    assert says(sided).finding == ANTERIOR
