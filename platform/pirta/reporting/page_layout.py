"""A4 pages from rows of text and pictures: sizes, colours, and putting rows on pages.

Points (1/72 inch), origin at the lower left of the page. A row has a height and draws itself
below an upper edge; rows go on pages in their order and are never cut. Knows no report. Uses none
of matplotlib's global state, so that several threads can draw at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pirta.reporting.page_text import Typeface

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PAGE_WIDTH_PT, PAGE_HEIGHT_PT = 595.0, 842.0
MARGIN_PT = 48.0
WIDTH_PT = PAGE_WIDTH_PT - 2 * MARGIN_PT
TOP_PT, BOTTOM_PT = 86.0, 44.0  # kept for the page's head and foot
BODY_PT = 9.5
LINE_HEIGHT = 1.4  # of the letters' size
WASH_INSET_PT = 6.0

INK, FAINT, RED, AMBER = "#14213d", "#5c677d", "#9d0208", "#9c5700"
RED_WASH, AMBER_WASH = "#fdecea", "#fff4e0"


@dataclass(frozen=True)
class Row:
    """Something of a known height; `draw` gets the page and the row's upper edge."""

    height_pt: float
    draw: Callable[[Figure, float], None]


def paginated(rows: Sequence[Row]) -> list[list[Row]]:
    """Return each page's rows; at least one page."""
    room_pt = PAGE_HEIGHT_PT - TOP_PT - BOTTOM_PT
    pages: list[list[Row]] = [[]]
    used_pt = 0.0
    for row in rows:
        if used_pt + row.height_pt > room_pt and pages[-1]:
            pages.append([])
            used_pt = 0.0
        pages[-1].append(row)
        used_pt += row.height_pt
    return pages


@dataclass(frozen=True)
class Pen:
    """Writes text, in two weights of one typeface."""

    regular: Typeface
    bold: Typeface

    def draw(
        self,
        page: Figure,
        text: str,
        x_pt: float,
        y_pt: float,
        *,
        size_pt: float,
        colour: str,
        bold: bool = False,
    ) -> None:
        """Draw one line from its left end on its base line."""
        from matplotlib.font_manager import FontProperties

        face = self.bold if bold else self.regular
        for run in face.runs(face.drawable(text)):
            page.text(
                x_pt / PAGE_WIDTH_PT,
                y_pt / PAGE_HEIGHT_PT,
                run.text,
                color=colour,
                fontproperties=FontProperties(fname=str(run.font), size=size_pt),
                parse_math=False,  # a history may hold dollar signs
                fontfeatures=("-liga",),  # widths are sums of signs, and text can be searched
            )
            x_pt += face.width_pt(run.text, size_pt)

    def lines(
        self, text: str, *, size_pt: float = BODY_PT, colour: str = INK, wash: str = ""
    ) -> Iterator[Row]:
        """Yield a text as rows that fit the page; `wash` is the colour behind them."""
        inset_pt = WASH_INSET_PT if wash else 0.0
        width_pt = WIDTH_PT - 2 * inset_pt
        for line in self.regular.wrap(text, size_pt=size_pt, width_pt=width_pt):
            yield self.line(line, x_pt=inset_pt, size_pt=size_pt, colour=colour, wash=wash)

    def line(
        self,
        text: str,
        *,
        x_pt: float = 0.0,
        size_pt: float = BODY_PT,
        colour: str = INK,
        bold: bool = False,
        label: str = "",
        wash: str = "",
    ) -> Row:
        """Return one row of text that fits, with a label in the left margin's column."""
        height_pt = LINE_HEIGHT * size_pt

        def draw(page: Figure, top_pt: float) -> None:
            if wash:
                fill_band(page, top_pt - height_pt, height_pt, wash)
            base_pt = top_pt - size_pt - 0.1 * size_pt
            if label:
                self.draw(page, label, MARGIN_PT, base_pt, size_pt=size_pt, colour=FAINT)
            self.draw(
                page, text, MARGIN_PT + x_pt, base_pt, size_pt=size_pt, colour=colour, bold=bold
            )

        return Row(height_pt, draw)


def gap(height_pt: float) -> Row:
    """Return empty room."""
    return Row(height_pt, lambda _page, _top_pt: None)


def fill_band(page: Figure, y_pt: float, height_pt: float, colour: str) -> None:
    """Fill a band between the margins, behind everything else."""
    from matplotlib.patches import Rectangle

    page.add_artist(
        Rectangle(
            (MARGIN_PT / PAGE_WIDTH_PT, y_pt / PAGE_HEIGHT_PT),
            WIDTH_PT / PAGE_WIDTH_PT,
            height_pt / PAGE_HEIGHT_PT,
            facecolor=colour,
            edgecolor="none",
            zorder=0,
            transform=page.transFigure,
        )
    )


def rule(page: Figure, y_pt: float, colour: str) -> None:
    """Draw a line between the margins."""
    fill_band(page, y_pt, 0.8, colour)


def axes_at(page: Figure, x_pt: float, y_pt: float, width_pt: float, height_pt: float) -> Axes:
    """Return axes whose lower left corner is at `(x_pt, y_pt)`."""
    return page.add_axes(
        (
            x_pt / PAGE_WIDTH_PT,
            y_pt / PAGE_HEIGHT_PT,
            width_pt / PAGE_WIDTH_PT,
            height_pt / PAGE_HEIGHT_PT,
        )
    )
