"""One picture of a report's evidence: the query and its neighbours, DWI over ADC, same slice.

Axis suffixes: C channels (0 DWI, 1 ADC), X Y Z voxels (RAS+). Shown as radiologists hang
films: the patient's left on the reader's right. Draws prepared volumes only; knows no files of
cases and reads nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

DWI_WINDOW = (0.0, 2.5)  # in units of the brain's median
ADC_WINDOW = (0.0, 2.0)  # 10⁻³ mm²/s
SMOOTHING_VOX = (1.5, 1.5, 0.7)  # takes single noisy voxels out, about 7 mm wide
LOWEST_ADC = 0.2  # below is noise or an artefact
RIM_VOX = 2  # at the brain's edge partial volume makes any ratio
PIXEL_ASPECT = 1.0  # the grid's x and y spacing are equal


@dataclass(frozen=True)
class Panel:
    """One column of the picture."""

    title: str
    volume_CXYZ: NDArray[np.float32]


def slice_to_show(volume_CXYZ: NDArray[np.float32]) -> int:
    """Return the axial slice with the highest smoothed DWI over ADC, away from the brain's edge.

    Restriction is bright in one and dark in the other, so their ratio finds mild lesions too;
    on a normal brain it finds some slice of it.
    """
    inside_XYZ = volume_CXYZ[0] > 0
    deep_XYZ = ndimage.binary_erosion(inside_XYZ, iterations=RIM_VOX)
    if not deep_XYZ.any():
        return int(np.argmax(inside_XYZ.sum(axis=(0, 1))))
    dwi_XYZ, adc_XYZ = (ndimage.gaussian_filter(one, SMOOTHING_VOX) for one in volume_CXYZ)
    ratio_XYZ = np.where(deep_XYZ, dwi_XYZ / np.maximum(adc_XYZ, LOWEST_ADC), 0)
    return int(np.argmax(ratio_XYZ.max(axis=(0, 1))))


def draw_evidence(query: Panel, neighbours: Sequence[Panel], path: Path, *, title: str) -> Path:
    """Write the picture as PNG and return its path."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    panels = [query, *neighbours]
    index = slice_to_show(query.volume_CXYZ)
    figure = Figure(figsize=(2.1 * len(panels), 5.6), facecolor="black")
    FigureCanvasAgg(figure)
    axes = figure.subplots(2, len(panels), squeeze=False)
    for column, panel in enumerate(panels):
        for row, window in enumerate((DWI_WINDOW, ADC_WINDOW)):
            show_plane(axes[row][column], panel.volume_CXYZ[row, :, :, index], window)
        axes[0][column].set_title(
            panel.title, color="#ffd166" if column == 0 else "white", fontsize=8
        )
    for row, name in enumerate(("DWI", "ADC")):
        axes[row][0].text(
            -0.06,
            0.5,
            name,
            color="white",
            rotation=90,
            va="center",
            transform=axes[row][0].transAxes,
        )
    axes[1][0].text(0.02, 0.03, "R", color="#8ecae6", transform=axes[1][0].transAxes)
    axes[1][0].text(0.92, 0.03, "L", color="#8ecae6", transform=axes[1][0].transAxes)
    figure.suptitle(title, color="white", fontsize=10)
    figure.subplots_adjust(left=0.03, right=0.995, top=0.82, bottom=0.01, wspace=0.03, hspace=0.03)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial.png")
    figure.savefig(partial, dpi=130, facecolor="black")
    partial.replace(path)
    return path


def show_plane(axes: Axes, plane_XY: NDArray[np.float32], window: tuple[float, float]) -> None:
    """Draw one axial plane as films hang."""
    # In RAS+ x grows towards the patient's right. Films hang the other way round: flipped, the
    # patient's right lands on the reader's left; y (anterior) points up.
    axes.imshow(
        np.flip(plane_XY, axis=0).T,
        cmap="gray",
        vmin=window[0],
        vmax=window[1],
        origin="lower",
        aspect=PIXEL_ASPECT,
        interpolation="nearest",
    )
    axes.set_axis_off()
