"""A report in the form that was asked for, on the terminal or in a file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pirta.contracts.report import Report
from pirta.errors import InputError
from pirta.reporting.evidence_picture import Panel
from pirta.reporting.render import render_text
from pirta.reporting.render_markdown import render_markdown
from pirta.reporting.report_pdf import render_pdf
from pirta_cli.report_output import ReportForm, check_form, hand_over
from tests.unit.reporting.drafts import abstained, template, written


def no_pictures() -> tuple[Panel, tuple[Panel, ...]]:
    raise AssertionError("only a PDF asks for pictures")


def panels() -> tuple[Panel, tuple[Panel, ...]]:
    volume_CXYZ = np.zeros((2, 96, 112, 48), np.float32)
    volume_CXYZ[:, 20:76, 20:92, 10:40] = 1.0
    return Panel("Query", volume_CXYZ), (Panel("[1]", volume_CXYZ),)


@pytest.mark.parametrize("made", [written(), template(), abstained()], ids=lambda one: one.mode)
def test_every_mode_leaves_in_every_form(
    made: Report, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hand_over(made, ReportForm.TEXT, None, pictures=no_pictures)
    assert capsys.readouterr().out == render_text(made)
    hand_over(made, ReportForm.JSON, None, pictures=no_pictures)
    assert Report.model_validate_json(capsys.readouterr().out) == made
    hand_over(made, ReportForm.MARKDOWN, tmp_path / "r.md", pictures=no_pictures)
    assert (tmp_path / "r.md").read_text(encoding="utf-8") == render_markdown(made)
    hand_over(made, ReportForm.TERMINAL, None, pictures=no_pictures)
    assert made.evidence[0].case_id in capsys.readouterr().out


def test_a_pdf_holds_the_pictures() -> None:
    query, neighbours = panels()
    with_images = render_pdf(written(), query=query, neighbours=neighbours)
    assert with_images != render_pdf(written())


def test_a_pdf_goes_to_its_file(tmp_path: Path) -> None:
    hand_over(written(), ReportForm.PDF, tmp_path / "r.pdf", pictures=panels)
    query, neighbours = panels()
    expected = render_pdf(written(), query=query, neighbours=neighbours)
    assert (tmp_path / "r.pdf").read_bytes() == expected


@pytest.mark.parametrize(
    ("form", "out", "part"),
    [
        (ReportForm.PDF, None, "--out"),
        (ReportForm.TERMINAL, "r.txt", "--format"),
        (ReportForm.TEXT, "nowhere/r.txt", "nowhere"),
    ],
)
def test_a_form_that_has_nowhere_to_go_is_refused_before_anything_is_sent(
    form: ReportForm, out: str | None, part: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=part):
        check_form(form, None if out is None else tmp_path / out)


def test_a_file_that_cannot_be_written_is_a_typed_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be written"):
        hand_over(written(), ReportForm.TEXT, tmp_path, pictures=no_pictures)
