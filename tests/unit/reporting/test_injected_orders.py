"""An order hidden in a chart or in a neighbour's text changes nothing of what a report finds.

The writer here obeys every order that it can see; the report has to be the one that it is without
the order, or an abstention that says why.
"""

from __future__ import annotations

import io
import re

import pytest
from markdown_it import MarkdownIt
from rich.console import Console

from pirta.contracts.abstention import AbstentionLimits
from pirta.contracts.finding import InfarctType, Label, LesionClass
from pirta.contracts.release import Calibration
from pirta.contracts.report import ABSTAINED_FINDINGS, Report, RetrievedCase
from pirta.contracts.study import Registry, StudyFiles, StudyImages
from pirta.reporting.prompt import build_prompt
from pirta.reporting.render import render_rich, render_text
from pirta.reporting.render_markdown import render_markdown
from pirta.reporting.report_pdf import render_pdf
from pirta.reporting.study_report import report_study
from pirta.reporting.untrusted_text import shown_text
from tests.unit.reporting.examples import ANTERIOR, DEEP, HASH, Parts, cases, release
from tests.unit.reporting.injections import CONTROL_TOKENS
from tests.unit.reporting.orders import Gullible, orders, sees_order

OTHER_TYPE = ANTERIOR.model_copy(
    update={"lesion_class": LesionClass.STRONG, "infarct_type": InfarctType.SMALL_LACUNE}
)
# What an order asks for, and neighbours by which the checks alone would let it pass or not.
ASKED = {
    "unsupported": (None, cases(*[ANTERIOR] * 5)),
    "supported label": (DEEP, cases(ANTERIOR, ANTERIOR, ANTERIOR, DEEP, DEEP)),
    "supported words": (OTHER_TYPE, cases(*[ANTERIOR] * 4, OTHER_TYPE)),
}
NO_LIMITS = Calibration(abstention=AbstentionLimits(min_top_similarity=-1, min_confidence=0))
HONEST = Registry(age_years=75, sex="Female", presentation="Dizzy", nihss=3, history=("HTN",))
FIELDS = ("presentation", "history", "both")
asked = pytest.mark.parametrize("case", ASKED)


def row_with(order: str, where: str) -> Registry:
    changes: dict[str, object] = {}
    if where != "history":
        changes["presentation"] = order[:500]
    if where != "presentation":
        changes["history"] = ("HTN", order[:200])
    return Registry.model_validate(HONEST.model_dump() | changes)


async def made_by(
    writer: Gullible, registry: Registry, evidence: tuple[RetrievedCase, ...]
) -> Report:
    parts = Parts(evidence=evidence, label=Label.ANTERIOR)
    return await report_study(
        StudyFiles("study-1", "site-a", StudyImages(), registry, patient_id="patient-1"),
        release=release(calibration=NO_LIMITS),
        sites=None,
        withdrawn=frozenset(),
        settings_sha256=HASH,
        top_k=5,
        writer_timeout_s=60.0,
        preparer=parts,
        encoder=parts,
        retriever=parts,
        writer=writer,
    )


def found(report: Report) -> dict[str, object]:
    """All but the two parts that repeat the registry's words."""
    return report.model_dump(exclude={"clinical_presentation", "past_medical_history"})


def test_there_are_at_least_50_orders_and_the_writer_would_obey_each_of_them() -> None:
    assert len(set(orders(None))) >= 50
    writer = Gullible(wanted=None, own=ANTERIOR)
    honest = build_prompt(HONEST, cases(None, ANTERIOR)).user
    assert writer.answer(honest).startswith("Findings: There is mild")
    for order in orders(None):
        assert writer.answer(f"{honest}\n{order}").startswith("Findings: There is no"), order


async def test_without_the_second_question_a_supported_order_would_be_followed() -> None:
    """The double can break a report: most orders do reach the prompt, since they are words."""
    wanted, evidence = ASKED["supported words"]
    seen = [
        sees_order(build_prompt(row_with(order, "presentation"), evidence).user, wanted)
        for order in orders(wanted)
    ]
    assert sum(seen) >= 50


@asked
@pytest.mark.parametrize("where", FIELDS)
async def test_an_order_in_the_registry_changes_nothing(case: str, where: str) -> None:
    wanted, evidence = ASKED[case]
    plain = await made_by(Gullible(wanted, ANTERIOR), HONEST, evidence)
    assert (plain.mode, plain.finding) == ("written", ANTERIOR)
    obeyed = 0
    for order in orders(wanted):
        writer, row = Gullible(wanted, ANTERIOR), row_with(order, where)
        made = await made_by(writer, row, evidence)
        assert found(made) == found(plain), order
        assert shown_text(row.presentation or "").rstrip(".") in made.clinical_presentation
        assert made.past_medical_history == ", ".join(map(shown_text, row.history))
        obeyed += writer.obeyed
    assert obeyed >= 40


@asked
async def test_a_writer_that_breaks_out_of_the_form_as_well_ends_so_or_abstains(case: str) -> None:
    wanted, evidence = ASKED[case]
    plain = await made_by(Gullible(wanted, ANTERIOR), HONEST, evidence)
    for order in orders(wanted):
        writer = Gullible(wanted, ANTERIOR, constrained=False)
        made = await made_by(writer, row_with(order, "both"), evidence)
        if made.mode == "abstained":
            assert [reason.code.value for reason in made.reasons] == ["contradiction"]
            assert (made.outcome, made.findings) == ("undetermined", ABSTAINED_FINDINGS)
        else:
            assert found(made) == found(plain), order


@asked
async def test_an_order_in_the_text_of_any_neighbour_never_reaches_the_writer(case: str) -> None:
    wanted, evidence = ASKED[case]
    plain = await made_by(Gullible(wanted, ANTERIOR), HONEST, evidence)
    for number, order in enumerate(orders(wanted)):
        rank = number % len(evidence)
        hostile = list(evidence)
        hostile[rank] = evidence[rank].model_copy(update={"findings_text": order, "site": order})
        writer = Gullible(wanted, ANTERIOR)
        made = await made_by(writer, HONEST, tuple(hostile))
        assert writer.obeyed == 0
        assert (made.mode, made.finding, made.reasons) == ("written", ANTERIOR, ())
        assert (made.findings, made.impression) == (plain.findings, plain.impression)
        assert writer.prompts[0] == build_prompt(HONEST, evidence)


@asked
async def test_no_order_brings_a_control_token_or_a_line_into_a_prompt(case: str) -> None:
    wanted, evidence = ASKED[case]
    lines = len(build_prompt(HONEST, evidence).user.splitlines())
    for order in orders(wanted):
        writer = Gullible(wanted, ANTERIOR)
        await made_by(writer, row_with(order, "both"), evidence)
        for prompt in writer.prompts:
            assert len(prompt.user.splitlines()) == lines
            assert not [token for token in CONTROL_TOKENS if token in prompt.user]


async def test_the_writers_own_choice_stays_where_no_words_of_the_registry_made_it() -> None:
    """A minority answer that the writer gives without the words as well is its own."""
    _, evidence = ASKED["supported words"]
    writer = Gullible(wanted=None, own=OTHER_TYPE)
    assert (await made_by(writer, HONEST, evidence)).finding == OTHER_TYPE
    assert len(writer.prompts) == 2
    silent = Gullible(wanted=None, own=OTHER_TYPE)
    assert (await made_by(silent, Registry(age_years=75), evidence)).finding == OTHER_TYPE
    assert len(silent.prompts) == 1


@pytest.mark.parametrize("order", orders(None))
async def test_an_order_is_shown_and_is_no_markup_in_any_form(order: str) -> None:
    evidence = list(cases(*[ANTERIOR] * 5))
    row = row_with(order, "both")
    plain = await made_by(Gullible(None, ANTERIOR), HONEST, tuple(evidence))
    evidence[2] = evidence[2].model_copy(update={"findings_text": order, "site": order})
    made = await made_by(Gullible(None, ANTERIOR), row, tuple(evidence))

    assert len(render_text(made).splitlines()) == len(render_text(plain).splitlines())
    stream = io.StringIO()
    Console(file=stream, width=200, color_system=None).print(render_rich(made))
    for shown in (render_text(made), stream.getvalue(), render_markdown(made)):
        assert all(sign == "\n" or sign.isprintable() for sign in shown)

    assert kinds(render_markdown(made)) == kinds(render_markdown(plain))
    assert not re.search(r"(?<!\\)://|(?i:www)\.", render_markdown(made))  # GitHub's bare links


@pytest.mark.parametrize("order", [orders(None)[place] for place in (0, 6, 15, 35, 42, -4)])
async def test_a_pdf_of_an_order_holds_no_link_and_no_action(order: str) -> None:
    made = await made_by(Gullible(None, ANTERIOR), row_with(order, "both"), cases(*[ANTERIOR] * 5))
    content = render_pdf(made)
    assert content.startswith(b"%PDF")
    assert not re.search(rb"/(URI|JavaScript|JS|OpenAction|Launch|AA)\b", content)


def kinds(markdown: str) -> list[str]:
    """What a CommonMark parser makes of a page, its texts left out."""
    parsed = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    found: list[str] = []
    for token in parsed.parse(markdown):
        found.append(token.type)
        found += [one.type for one in token.children or () if one.type != "text"]
    return found
