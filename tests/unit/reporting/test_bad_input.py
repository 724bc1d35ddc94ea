"""Odd registry rows and evidence through the whole core: each ends as it is written down here."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import pytest
from rich.console import Console

from pirta.contracts.report import Report
from pirta.contracts.study import Registry, StudyFiles, StudyImages, parse_registry
from pirta.errors import NoNeighboursError, RegistryError
from pirta.reporting.render import render_rich, render_text
from pirta.reporting.render_markdown import render_markdown
from pirta.reporting.report_pdf import render_pdf
from tests.unit.reporting.examples import ANTERIOR, STUDY, Parts, report

SECRET = "a very private history "


def shown_forms(made: Report) -> list[str]:
    stream = io.StringIO()
    Console(file=stream, width=160, color_system=None).print(render_rich(made))
    return [render_text(made), stream.getvalue(), render_markdown(made)]


async def report_of_row(fields: object, parts: Parts | None = None) -> Report:
    return await report(parts or Parts(), study=replace(STUDY, registry=parse_registry(fields)))


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"presentation": "", "history": ""},
        {"presentation": "  \n ", "history": ["", "  ", "\u200b", "\x00"]},
        {"age_years": None, "sex": None, "presentation": None, "nihss": None, "history": []},
    ],
)
async def test_a_row_without_a_word_is_reported_as_unknown_and_never_as_blank(
    fields: object,
) -> None:
    parts = Parts()
    made = await report_of_row(fields, parts)
    assert (made.mode, made.finding) == ("written", ANTERIOR)
    assert made.clinical_presentation == "A patient with unknown presentation."
    assert (made.nihss, made.past_medical_history) == ("unknown", "none recorded")
    assert "### Registry: unknown, unknown, unknown, unknown, unknown," in parts.prompts[0].user
    for shown in shown_forms(made):
        assert "none recorded" in shown


@pytest.mark.parametrize(
    ("history", "problem"),
    [
        ([SECRET * 4_500], r"history\.0"),
        (SECRET * 4_500, r"history\.0"),
        (", ".join([SECRET] * 4_500), "history"),
        ([SECRET] * 4_500, "history"),
    ],
    ids=["one item", "one text", "a text of many items", "many items"],
)
def test_100_kilobytes_of_history_are_refused_by_name_and_without_its_text(
    history: object, problem: str
) -> None:
    assert len(json.dumps(history)) > 100_000
    with pytest.raises(RegistryError, match=problem) as refusal:
        parse_registry({"history": history})
    assert SECRET.strip() not in str(refusal.value)
    assert len(str(refusal.value)) < 1_000


async def test_the_longest_row_that_is_taken_is_shown_whole_and_goes_whole_to_the_writer() -> None:
    row = Registry(
        presentation="가" * 500, history=tuple(f"{n:02d}" + "나" * 198 for n in range(20))
    )
    parts = Parts()
    made = await report(parts, study=replace(STUDY, registry=row))
    assert made.past_medical_history == ", ".join(row.history)
    assert parts.prompts[0].user.count("나") == 20 * 198
    assert render_pdf(made).startswith(b"%PDF")


async def test_a_prompt_that_the_writer_finds_too_long_is_the_callers_to_mend() -> None:
    """Not a writer that is down: the template would hide that the row can never be written of."""
    too_long = RegistryError("The prompt is too long.", remedy="Shorten it.")
    with pytest.raises(RegistryError, match="too long"):
        await report(Parts(writer_fault=too_long))


async def test_korean_text_stays_to_the_letter_in_every_form() -> None:
    parts = Parts()
    made = await report_of_row(
        {"presentation": "좌측 편마비", "history": "고혈압, 심방세동"}, parts
    )
    assert made.clinical_presentation == "A patient with 좌측 편마비."
    assert made.past_medical_history == "고혈압, 심방세동"
    assert "좌측 편마비, unknown, 고혈압, 심방세동," in parts.prompts[0].user
    for shown in (*shown_forms(made), json.loads(made.model_dump_json())["clinical_presentation"]):
        assert "좌측 편마비" in shown


async def test_decomposed_korean_is_shown_as_it_came() -> None:
    import unicodedata

    said = unicodedata.normalize("NFD", "심방세동")
    made = await report_of_row({"history": [said]})
    assert made.past_medical_history == said


async def test_control_characters_are_gone_from_every_form_and_the_words_stay() -> None:
    hostile = "".join(map(chr, [*range(0x20), 0x7F, *range(0x80, 0xA0)])) + "\u202e\u2066\ufeff"
    parts = Parts()
    fields = {"presentation": f"weak{hostile}arm", "history": [f"HTN{hostile}", hostile]}
    made = await report_of_row(fields, parts)
    assert made.clinical_presentation == "A patient with weak arm."
    assert made.past_medical_history == "HTN"
    for shown in (*shown_forms(made), parts.prompts[0].user):
        assert all(sign == "\n" or sign.isprintable() for sign in shown)


def test_half_a_surrogate_pair_is_no_text_and_refused_by_name() -> None:
    with pytest.raises(RegistryError, match=r"presentation: .*unicode"):
        parse_registry({"presentation": json.loads(r'"weak \ud83d arm"')})


async def test_no_neighbour_at_all_is_an_error_by_name_whatever_the_row_says() -> None:
    empty = StudyFiles("study-3", "site-a", StudyImages(), Registry())
    for study in (STUDY, empty):
        parts = Parts(evidence=())
        with pytest.raises(NoNeighboursError, match="holds no case") as refusal:
            await report(parts, study=study)
        assert refusal.value.remedy
        assert parts.prompts == []
