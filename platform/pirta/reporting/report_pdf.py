"""A report as PDF: the words, the images it was written from, and the disclaimer on every page.

The same report, images and fonts give the same bytes: no date is written. What stands where is
decided here; how a page is drawn is `page_layout`.

Axis suffixes: C channels (0 DWI, 1 ADC), X Y Z voxels (RAS+).
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pirta.contracts.report import Report
from pirta.reporting.evidence_picture import (
    ADC_WINDOW,
    DWI_WINDOW,
    Panel,
    show_plane,
    slice_to_show,
)
from pirta.reporting.page_layout import (
    AMBER,
    AMBER_WASH,
    BODY_PT,
    BOTTOM_PT,
    FAINT,
    INK,
    MARGIN_PT,
    PAGE_HEIGHT_PT,
    PAGE_WIDTH_PT,
    RED,
    RED_WASH,
    TOP_PT,
    WIDTH_PT,
    Pen,
    Row,
    axes_at,
    gap,
    paginated,
    rule,
)
from pirta.reporting.page_text import installed_typefaces
from pirta.reporting.render import classifier_text, mode_notice, origin_text, report_parts

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TITLE_COLUMN_PT = 128.0
LARGEST_IMAGE_PT = 110.0
IMAGE_GAP_PT = 4.0
IMAGE_TITLES_PT = 24.0
SMALL_PT = 7.0
MOST_LINES = 8  # of a part, before the whole of it goes to the end

_MODE_COLOUR = {"written": INK, "template": AMBER, "abstained": RED}
_NO_GLYPH = (
    "Signs that no font of this machine has are shown as Unicode numbers; the text and JSON "
    "forms hold them as they are."
)


def render_pdf(
    report: Report,
    *,
    query: Panel | None = None,
    neighbours: Sequence[Panel] = (),
    fonts: Sequence[Path] = (),
) -> bytes:
    """Return the PDF's bytes.

    Args:
        query, neighbours: prepared volumes to show; without a query the report has no images.
        fonts: font files to ask for signs that DejaVu lacks, before the installed ones.
    """
    from matplotlib.backends.backend_pdf import FigureCanvasPdf, PdfPages
    from matplotlib.figure import Figure

    pen = Pen(*installed_typefaces(fonts))
    pages = paginated([*_rows(pen, report, query, neighbours)])
    stream = io.BytesIO()
    metadata = {
        "Title": f"Report of {report.study_id}",
        "Creator": "PIRTA",
        "Producer": None,
        "CreationDate": None,
    }
    with PdfPages(stream, metadata=metadata) as file:
        for number, rows in enumerate(pages, 1):
            page = Figure(figsize=(PAGE_WIDTH_PT / 72, PAGE_HEIGHT_PT / 72))
            FigureCanvasPdf(page)
            _draw_head_and_foot(pen, page, report, f"{number} / {len(pages)}")
            top_pt = PAGE_HEIGHT_PT - TOP_PT
            for row in rows:
                row.draw(page, top_pt)
                top_pt -= row.height_pt
            file.savefig(page)
    return stream.getvalue()


def _rows(
    pen: Pen, report: Report, query: Panel | None, neighbours: Sequence[Panel]
) -> Iterator[Row]:
    yield from _notices(pen, report)
    whole: list[Row] = []
    for title, text in report_parts(report):
        shown, rest = _shortened(pen, title, text)
        yield from _part(pen, title, shown, strong=title in ("Findings", "Impression"))
        whole += rest
    yield from _part(pen, "Image classifier", classifier_text(report))
    if report.confidence is not None:
        yield from _part(pen, "Confidence", f"{report.confidence:.2f}")
    if query is not None:
        yield gap(10)
        yield _images(pen, [query, *neighbours])
    yield gap(10)
    yield from _evidence(pen, report)
    yield from whole
    yield gap(8)
    yield from pen.lines(origin_text(report), size_pt=SMALL_PT, colour=FAINT)
    if any(pen.regular.drawable(text) != " ".join(text.split()) for text in _said(report)):
        yield from pen.lines(_NO_GLYPH, size_pt=SMALL_PT, colour=FAINT)


def _draw_head_and_foot(pen: Pen, page: Figure, report: Report, number: str) -> None:
    top_pt = PAGE_HEIGHT_PT - 40
    colour = _MODE_COLOUR[report.mode]
    title = pen.bold.wrap(f"Report of {report.study_id}", size_pt=14, width_pt=WIDTH_PT)[0]
    pen.draw(page, title, MARGIN_PT, top_pt, size_pt=14, colour=INK, bold=True)
    pen.draw(page, report.disclaimer, MARGIN_PT, top_pt - 16, size_pt=9, colour=RED, bold=True)
    notice = mode_notice(report)
    if notice:
        pen.draw(page, notice, MARGIN_PT, top_pt - 30, size_pt=9, colour=colour, bold=True)
    rule(page, PAGE_HEIGHT_PT - TOP_PT + 8, colour)
    rule(page, BOTTOM_PT - 8, FAINT)
    pen.draw(page, report.disclaimer, MARGIN_PT, 22, size_pt=SMALL_PT, colour=FAINT)
    right_pt = PAGE_WIDTH_PT - MARGIN_PT - pen.regular.width_pt(number, SMALL_PT)
    pen.draw(page, number, right_pt, 22, size_pt=SMALL_PT, colour=FAINT)


def _notices(pen: Pen, report: Report) -> Iterator[Row]:
    wash = RED_WASH if report.mode == "abstained" else AMBER_WASH
    for reason in report.reasons:
        yield from pen.lines(f"Reason: {reason.sentence}", wash=wash)
    for warning in report.warnings:
        yield from pen.lines(f"Warning: {warning}", wash=AMBER_WASH)
    if report.reasons or report.warnings:
        yield gap(8)


def _shortened(pen: Pen, title: str, text: str) -> tuple[str, list[Row]]:
    """A text's first lines, and the rows that hold the whole of it where it has more.

    A history of twenty entries must not push the findings to a second page.
    """
    lines = pen.regular.wrap(text, size_pt=BODY_PT, width_pt=WIDTH_PT - TITLE_COLUMN_PT)
    if len(lines) <= MOST_LINES:
        return text, []
    rows = [gap(10), pen.line(f"{title}, whole", bold=True)]
    rows += pen.lines(text, size_pt=SMALL_PT)
    return f"{' '.join(lines[: MOST_LINES - 1])} … (the whole stands at the end)", rows


def _part(pen: Pen, title: str, text: str, *, strong: bool = False) -> Iterator[Row]:
    """A title beside its text."""
    face = pen.bold if strong else pen.regular
    width_pt = WIDTH_PT - TITLE_COLUMN_PT
    for place, line in enumerate(face.wrap(text, size_pt=BODY_PT, width_pt=width_pt)):
        label = title if place == 0 else ""
        yield pen.line(line, x_pt=TITLE_COLUMN_PT, bold=strong, label=label)
    yield gap(4)


def _evidence(pen: Pen, report: Report) -> Iterator[Row]:
    yield pen.line("Similar patient reports", bold=True)
    for rank, case in enumerate(report.evidence, 1):
        yield gap(3)
        head = f"[{rank}] Similarity Score : {case.similarity:.2f}"
        yield from pen.lines(f"{head} · {case.case_id} · {case.site}", colour=FAINT)
        yield from pen.lines(case.findings_text)


def _said(report: Report) -> Iterator[str]:
    yield report.study_id
    yield from (text for _, text in report_parts(report))
    yield from report.warnings
    for case in report.evidence:
        yield from (case.case_id, case.site, case.findings_text)


def _images(pen: Pen, panels: Sequence[Panel]) -> Row:
    """DWI over ADC, the query first, all at the query's most restricted slice."""
    index = slice_to_show(panels[0].volume_CXYZ)
    fit_pt = (WIDTH_PT - IMAGE_GAP_PT * (len(panels) - 1)) / len(panels)
    wide_pt = min(LARGEST_IMAGE_PT, fit_pt)
    _, num_x, num_y, _ = panels[0].volume_CXYZ.shape
    tall_pt = wide_pt * num_y / num_x
    below_pt = IMAGE_TITLES_PT + 2 * tall_pt + IMAGE_GAP_PT

    def draw(page: Figure, top_pt: float) -> None:
        for column, panel in enumerate(panels):
            x_pt = MARGIN_PT + column * (wide_pt + IMAGE_GAP_PT)
            for place, text in enumerate(panel.title.split("\n")[:2]):
                shown = pen.regular.wrap(text, size_pt=SMALL_PT, width_pt=wide_pt)[0]
                y_pt = top_pt - 9 * (place + 1)
                pen.draw(page, shown, x_pt, y_pt, size_pt=SMALL_PT, colour=FAINT)
            for row, window in enumerate((DWI_WINDOW, ADC_WINDOW)):
                y_pt = top_pt - IMAGE_TITLES_PT - (row + 1) * tall_pt - row * IMAGE_GAP_PT
                axes = axes_at(page, x_pt, y_pt, wide_pt, tall_pt)
                show_plane(axes, panel.volume_CXYZ[row, :, :, index], window)
        legend = "Upper row DWI, lower row ADC, one slice; the patient's right is on the left."
        y_pt = top_pt - below_pt - 10
        pen.draw(page, legend, MARGIN_PT, y_pt, size_pt=SMALL_PT, colour=FAINT)

    return Row(below_pt + 14, draw)
