"""How the pictures of an evaluation are drawn: one size, colours for everybody, PNG bytes.

matplotlib draws without a display. What is drawn is said by `figures` and `writer_pictures`.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from pirta.evaluation.intervals import Interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    Draw: TypeAlias = Callable[[Axes], None]

# Okabe and Ito's colours, which colour-blind readers can tell apart.
COLOURS = (
    "#999999", "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#F0E442",
)  # fmt: skip
MARKERS = "osD^vPX*"

_DPI = 130
_SIZE_INCH = (6.0, 4.6)


def png(draw: Draw, *, size_inch: tuple[float, float] = _SIZE_INCH) -> bytes:
    """Return one picture as PNG; `draw` fills its axes."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=size_inch, dpi=_DPI, layout="constrained")
    FigureCanvasAgg(figure)
    draw(figure.add_subplot())
    buffer = io.BytesIO()
    # Without the library's version in it, the same figures are the same bytes.
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def with_intervals(
    axes: Axes,
    places: Sequence[float],
    found: Sequence[Interval],
    number: int,
    *,
    fmt: str,
    label: str,
) -> None:
    """Draw figures with their intervals; one without an interval is a bare mark."""
    values = np.array([one.value for one in found])
    below = values - np.array([one.low for one in found])
    above = np.array([one.high for one in found]) - values
    axes.errorbar(
        places, values, yerr=np.clip(np.nan_to_num([below, above]), 0, None), capsize=3, fmt=fmt,
        color=COLOURS[(number + 1) % len(COLOURS)], label=label,
    )  # fmt: skip
