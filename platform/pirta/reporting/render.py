"""A report for people: plain text in the form of Table 3, and panels for the terminal.

Both put the disclaimer, the mode and the warnings first and the evidence with its similarity
last. A neighbour's text comes from a store: it is put on one line, without control characters that
a terminal would obey. Markdown and PDF are `render_markdown` and `report_pdf`; the contract itself
(JSON) is `Report.model_dump_json`.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from pirta.contracts.report import Report, RetrievedCase
from pirta.reporting.cautions import spoken
from pirta.reporting.untrusted_text import shown_text

BAR_WIDTH = 10

_NOTICES = {
    "template": "TEMPLATE: not written by the language model.",
    "abstained": "ABSTAINED: this report states no finding.",
}


def mode_notice(report: Report) -> str | None:
    """Return what a reader has to know of the report's mode; None where the model wrote it."""
    return _NOTICES.get(report.mode)


def classifier_text(report: Report) -> str:
    """Return the classifier's own label: "deep gray (0.93)"."""
    shown = f"{spoken(report.encoder_label)} ({report.encoder_probability:.2f})"
    return f"{shown}, evidence only, not a finding" if report.mode == "abstained" else shown


def origin_text(report: Report) -> str:
    """Return what the report was made with, hashes cut short."""
    origin = report.provenance
    return (
        f"{origin.release_id} · index {origin.index_collection} · encoder "
        f"{origin.encoder_sha256[:8]} · writer {origin.writer_base_sha256[:8]}"
        f"+{origin.writer_adapter_sha256[:8]} · settings {origin.settings_sha256[:8]}"
    )


def report_parts(report: Report) -> tuple[tuple[str, str], ...]:
    """Return the paper's five parts, each with its title."""
    return (
        ("Clinical Presentation", report.clinical_presentation),
        ("NIHSS", report.nihss),
        ("Past Medical History", report.past_medical_history),
        ("Findings", report.findings),
        ("Impression", report.impression),
    )


def render_text(report: Report) -> str:
    """Return the report as plain text (Table 3, "Generated"), disclaimer and warnings on top."""
    notice = mode_notice(report)
    head = [report.disclaimer, *([notice] if notice else [])]
    head += [f"Reason: {reason.sentence}" for reason in report.reasons]
    head += [f"Warning: {warning}" for warning in report.warnings]
    parts = [f"{title}: {text}" for title, text in report_parts(report)]
    evidence = ["Similar patient reports:"]
    for rank, case in enumerate(report.evidence, 1):
        evidence += [
            f"[{rank}] Similarity Score : {case.similarity:.2f}",
            shown_text(case.findings_text),
        ]
    return "\n".join([*head, "", *parts, "", *evidence]) + "\n"


def render_rich(report: Report) -> RenderableType:
    """Return panels and a table that read well from 80 columns up."""
    shown: list[RenderableType] = [Text(report.disclaimer, style="bold yellow")]
    notice = mode_notice(report)
    if notice:
        shown.append(_marked_panel(notice, [reason.sentence for reason in report.reasons]))
    if report.warnings:
        shown.append(_marked_panel("Read with caution", report.warnings))
    origin = Text(origin_text(report), style="dim")
    shown += [_parts_panel(report), _evidence_table(report.evidence), origin]
    return Group(*shown)


def _marked_panel(title: str, sentences: Sequence[str]) -> Panel:
    lines = Table.grid(padding=(0, 1))
    for sentence in sentences:
        lines.add_row(Text("!", style="bold red"), Text(sentence))
    return Panel(lines, title=title, border_style="red", title_align="left")


def _parts_panel(report: Report) -> Panel:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column()
    for title, text in report_parts(report):
        strong = title in ("Findings", "Impression")
        grid.add_row(title, Text(text, style="bold" if strong else ""))
    grid.add_row("Image classifier", Text(classifier_text(report)))
    if report.confidence is not None:
        grid.add_row("Confidence", Text(f"{report.confidence:.2f}"))
    heading = Text(f"Report of {report.study_id}")
    return Panel(grid, title=heading, border_style="cyan", title_align="left")


def _evidence_table(evidence: tuple[RetrievedCase, ...]) -> Table:
    table = Table(
        title="Similar verified cases", title_justify="left", box=box.SIMPLE_HEAD, expand=False
    )
    table.add_column("#", justify="right", no_wrap=True)
    table.add_column("Similarity", no_wrap=True)
    table.add_column("Case", overflow="fold")
    table.add_column("Findings", ratio=1)
    for rank, case in enumerate(evidence, 1):
        table.add_row(
            str(rank),
            _bar(case.similarity),
            Text(f"{shown_text(case.case_id)}\n{shown_text(case.site)}", overflow="fold"),
            Text(shown_text(case.findings_text)),
        )
    return table


def _bar(similarity: float) -> Text:
    """A bar of `BAR_WIDTH` cells for a similarity in [0, 1]; below 0 it is empty."""
    filled = round(max(0.0, min(1.0, similarity)) * BAR_WIDTH)
    colour = "green" if similarity >= 0.7 else "yellow" if similarity >= 0.5 else "red"
    return Text.assemble(
        (f"{similarity:5.2f} ", "bold"),
        ("█" * filled, colour),
        ("░" * (BAR_WIDTH - filled), "dim"),
    )
