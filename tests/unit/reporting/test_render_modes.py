"""Every rendering shows its mode, its reasons and its evidence; none of an abstention is normal."""

from __future__ import annotations

import io
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from pirta.contracts.report import Report, reads_as_normal
from pirta.contracts.study import Registry
from pirta.reporting.render import mode_notice, render_rich, render_text
from pirta.reporting.render_markdown import escaped, render_markdown
from tests.unit.reporting.drafts import abstained, template, written

MODES = [written(), template(), abstained()]


def rich_text(report: Report) -> str:
    stream = io.StringIO()
    Console(file=stream, width=220, color_system=None).print(render_rich(report))
    return " ".join(stream.getvalue().replace("│", " ").split())


def plain_markdown(report: Report) -> str:
    """The Markdown as a reader sees its words: escapes taken away."""
    return re.sub(r"\\(.)", r"\1", render_markdown(report))


RENDERINGS = {
    "text": render_text,
    "rich": rich_text,
    "markdown": plain_markdown,
    "json": lambda report: report.model_dump_json(),
}
every_rendering = pytest.mark.parametrize("name", RENDERINGS)


@every_rendering
def test_no_rendering_of_an_abstention_reads_as_normal(name: str) -> None:
    assert not reads_as_normal(RENDERINGS[name](abstained()))


@every_rendering
@pytest.mark.parametrize("report", MODES, ids=lambda report: report.mode)
def test_every_rendering_holds_the_reasons_the_warnings_and_the_evidence(
    name: str, report: Report
) -> None:
    shown = RENDERINGS[name](report)
    assert report.disclaimer in shown
    for reason in report.reasons:
        assert reason.sentence in shown
    for warning in report.warnings:
        assert warning in shown
    for case in report.evidence:
        assert case.findings_text.split(" in the ")[0] in shown
    assert report.findings.split(" in the ")[0] in shown
    assert report.impression in shown


@pytest.mark.parametrize("name", ["text", "rich", "markdown"])
def test_a_mode_other_than_written_is_said_before_the_findings(name: str) -> None:
    for report in MODES:
        shown, notice = RENDERINGS[name](report), mode_notice(report)
        if notice is None:
            assert report.mode == "written"
            assert "TEMPLATE" not in shown
            assert "ABSTAINED" not in shown
        else:
            assert shown.index(notice) < shown.index("Findings")


@pytest.mark.parametrize("name", ["text", "rich", "markdown", "json"])
def test_the_patients_registry_is_shown_to_the_letter_even_where_it_says_normal(name: str) -> None:
    row = Registry(presentation="Dizzy", history=("MRI 2019: no diffusion restriction",))
    assert "MRI 2019: no diffusion restriction" in RENDERINGS[name](abstained(row))


def test_markdown_holds_the_five_parts_and_a_table_of_the_evidence() -> None:
    shown = render_markdown(template())
    assert shown.startswith("# Report of study\\-1\n\n> **Preliminary")
    assert "- **NIHSS:** 32.0\n" in shown
    assert (
        "| 1 | 0.87 | case\\-0 | site\\-b | normal | There is no diffusion restriction. |" in shown
    )
    assert shown.endswith("\n")
    assert not shown.endswith("\n\n")


@pytest.mark.parametrize(
    "hostile",
    ["# big", "[x](http://x)", "a | b", "<b>", "`code`", "*a* _b_", "![i](u)", "~~gone~~", "- x",
     "&amp; &#35;", "a\nb"],
)  # fmt: skip
def test_text_from_outside_is_no_markup(hostile: str) -> None:
    said = escaped(hostile)
    assert "\n" not in said
    assert not re.search(r"(?<!\\)[#*_`\[\]<>|~&-]", said)
    assert re.sub(r"\\(.)", r"\1", said) == " ".join(hostile.split())


@settings(deadline=None)
@given(st.text(max_size=80))
def test_a_cell_stays_one_cell_whatever_it_holds(text: str) -> None:
    assert not re.search(r"(?<!\\)(?:\\\\)*\|", escaped(text))
    assert len(escaped(text).splitlines()) <= 1
