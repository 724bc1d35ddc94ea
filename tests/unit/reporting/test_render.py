"""A report reads well as plain text and in an 80-column terminal."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from pirta.contracts.abstention import AbstentionLimits
from pirta.contracts.release import Calibration
from pirta.contracts.report import Report
from pirta.reporting.render import render_rich, render_text
from pirta.reporting.study_report import report_study
from tests.unit.reporting.examples import ANTERIOR, DEEP, HASH, STUDY, Parts, cases, release


@pytest.fixture
async def report() -> Report:
    states_all = AbstentionLimits(min_top_similarity=-1, min_confidence=0)
    parts = Parts(evidence=cases(ANTERIOR, ANTERIOR, DEEP, None, ANTERIOR, top=0.46))
    return await report_study(
        STUDY,
        release=release(calibration=Calibration(abstention=states_all)),
        sites=None,
        withdrawn=frozenset(),
        settings_sha256=HASH,
        top_k=5,
        writer_timeout_s=5.0,
        preparer=parts,
        encoder=parts,
        retriever=parts,
        writer=parts,
    )


def shown(report: Report, *, width: int) -> str:
    stream = io.StringIO()
    Console(file=stream, width=width, color_system=None).print(render_rich(report))
    return stream.getvalue()


def test_text_has_table_3s_lines_in_their_order(report: Report) -> None:
    lines = render_text(report).splitlines()
    start = lines.index(
        "Clinical Presentation: A 75-year-old Female patient with Altered Mentality."
    )
    assert lines[start + 1 : start + 9] == [
        "NIHSS: 32.0",
        "Past Medical History: HTN, Afib",
        f"Findings: {ANTERIOR.sentence()}",
        "Impression: Acute infarction",
        "",
        "Similar patient reports:",
        "[1] Similarity Score : 0.46",
        ANTERIOR.sentence(),
    ]
    assert lines[-1] == ANTERIOR.sentence()


def test_disclaimer_and_warnings_come_first(report: Report) -> None:
    lines = render_text(report).splitlines()
    assert lines[0] == report.disclaimer
    assert report.warnings
    assert lines[1 : 1 + len(report.warnings)] == [f"Warning: {text}" for text in report.warnings]


@pytest.mark.parametrize("width", [80, 120])
def test_the_terminal_form_holds_everything_within_its_width(report: Report, width: int) -> None:
    text = shown(report, width=width)
    assert all(len(line.rstrip()) <= width for line in text.splitlines())
    flat = " ".join(text.replace("│", " ").split())
    assert report.disclaimer in flat
    for warning in report.warnings:
        assert warning in flat
    for case in report.evidence:
        assert case.case_id in flat
        assert f"{case.similarity:.2f}" in flat
    assert "Acute infarction" in flat
    assert report.provenance.release_id in flat


def test_a_report_without_warnings_shows_no_warning_box(report: Report) -> None:
    quiet = report.model_copy(update={"warnings": ()})
    assert "caution" not in shown(quiet, width=80)
    assert "Warning" not in render_text(quiet)


def test_square_brackets_in_the_data_are_shown_and_not_read_as_markup(report: Report) -> None:
    marked = report.model_copy(update={"past_medical_history": "[bold]DM[/bold]"})
    assert "[bold]DM[/bold]" in shown(marked, width=80)


def test_a_negative_similarity_has_an_empty_bar(report: Report) -> None:
    far = report.evidence[0].model_copy(update={"similarity": -0.2})
    text = shown(report.model_copy(update={"evidence": (far,)}), width=80)
    assert "-0.20 ░░░░░░░░░░" in text
