"""In which form `pirta report` hands a report over: terminal, text, Markdown, JSON or PDF.

Nothing is drawn here; where a PDF's images come from is `report_pictures`.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from pirta.contracts.report import Report
from pirta.errors import InputError

if TYPE_CHECKING:
    from pirta.reporting.evidence_picture import Panel


class ReportForm(StrEnum):
    """The forms of a report."""

    TERMINAL = "terminal"
    TEXT = "text"
    MARKDOWN = "markdown"
    JSON = "json"
    PDF = "pdf"


def check_form(form: ReportForm, out: Path | None) -> None:
    """Refuse a form that has nowhere to go, before anything is sent.

    Raises:
        InputError: a PDF without a file, a panel into one, or a folder that is not there.
    """
    if form is ReportForm.PDF and out is None:
        raise InputError("A PDF is not for the terminal.", remedy="Name a file with --out.")
    if form is ReportForm.TERMINAL and out is not None:
        raise InputError(
            "The terminal's panels are not for a file.",
            remedy="Give --format text, markdown, json or pdf beside --out.",
        )
    if out is not None and not out.absolute().parent.is_dir():
        raise InputError(
            f"The folder {out.absolute().parent} of --out does not exist.", remedy="Make it first."
        )


def hand_over(
    report: Report,
    form: ReportForm,
    out: Path | None,
    *,
    pictures: Callable[[], tuple[Panel, tuple[Panel, ...]]],
) -> None:
    """Print the report, or write it to `out`; `pictures` is called for a PDF alone.

    Raises:
        InputError: the file cannot be written.
    """
    if form is ReportForm.TERMINAL:
        from rich.console import Console

        from pirta.reporting.render import render_rich

        Console().print(render_rich(report))
        return
    content = _content(report, form, pictures)
    if out is None:
        import typer

        typer.echo(content.decode(), nl=False)
        return
    try:
        out.write_bytes(content)
    except OSError as error:
        raise InputError(
            f"{out} cannot be written ({error.strerror}).", remedy="Name another file with --out."
        ) from None


def _content(
    report: Report, form: ReportForm, pictures: Callable[[], tuple[Panel, tuple[Panel, ...]]]
) -> bytes:
    from pirta.reporting.render import render_text
    from pirta.reporting.render_markdown import render_markdown

    if form is ReportForm.PDF:
        from pirta.reporting.report_pdf import render_pdf

        query, neighbours = pictures()
        return render_pdf(report, query=query, neighbours=neighbours)
    if form is ReportForm.JSON:
        return (report.model_dump_json(indent=2) + "\n").encode()
    text = render_markdown(report) if form is ReportForm.MARKDOWN else render_text(report)
    return text.encode()
