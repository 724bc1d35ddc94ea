"""A study of writers as pictures, one message each, PNG (see `drawing`)."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from pirta.evaluation.drawing import COLOURS, MARKERS, png, with_intervals
from pirta.evaluation.intervals import Interval
from pirta.evaluation.writer_evaluation import WriterStudy
from pirta.evaluation.writer_figures import ACCURACY, COVERAGE, RETRIEVAL, SELECTIVE
from pirta.evaluation.writer_poison import COPIES_LABEL, of_everything

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from pirta.evaluation.drawing import Draw

_MOST_COPIES = 0.05
"""The project's target: one poisoned neighbour of five is copied at most so often."""


def draw_writers(study: WriterStudy) -> dict[str, bytes]:
    """Return the pictures as PNG, by name."""
    drawn: dict[str, Draw] = {"text_and_image": lambda axes: _accuracies(axes, study)}
    if study.curves:
        drawn["risk_coverage"] = lambda axes: _risk(axes, study)
    if any(one.num_poisoned == 1 for one in study.poison):
        drawn["poisoned_copies"] = lambda axes: _copies(axes, study)
    if len({one.num_poisoned for one in study.poison}) > 1:
        drawn["poisoned_curve"] = lambda axes: _curve(axes, study)
    return {name: png(draw) for name, draw in drawn.items()}


def _accuracies(axes: Axes, study: WriterStudy) -> None:
    """The paper's figure 3: Acc@1 of the text beside that of image retrieval, by data set."""
    groups = [group for group in study.groups if group.kind == "data"]
    product, always = study.roles.product, study.roles.always
    series = [
        ("image retrieval", product, RETRIEVAL),
        (f"text: {always}", always, ACCURACY),
        (f"text: {product}, of stated", product, SELECTIVE),
        *((f"text: {name}", name, ACCURACY) for name in study.roles.baselines),
    ]
    places = np.arange(len(groups), dtype=float)
    found: list[Interval] = []
    for number, (label, system, figure) in enumerate(series):
        shown = [group.systems[system][figure] for group in groups]
        shift = 0.6 * (number + 0.5) / len(series) - 0.3
        marker = MARKERS[number % len(MARKERS)]
        with_intervals(axes, list(places + shift), shown, number, fmt=marker, label=label)
        found += shown
    shares = [group.systems[product][COVERAGE].value for group in groups]
    names = [
        f"{group.name}\n{group.num_cases} cases, states {covered:.0%}"
        for group, covered in zip(groups, shares, strict=True)
    ]
    axes.set_xticks(places, names)
    axes.set_xlim(-0.5, len(groups) - 0.5)
    axes.set_ylim(_floor(found), 1.01)
    axes.set_ylabel("territory Acc@1 (four labels)")
    axes.grid(axis="y", linewidth=0.4)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.13), ncols=2, fontsize=8, frameon=False)


def _risk(axes: Axes, study: WriterStudy) -> None:
    for number, curve in enumerate(study.curves):
        colour = COLOURS[(number + 1) % len(COLOURS)]
        axes.step(
            curve.coverage, curve.risk, where="pre", color=colour,
            label=f"{curve.dataset}: AURC {curve.aurc:.4f}",
        )  # fmt: skip
        if curve.at_limits is not None:
            axes.plot(
                *curve.at_limits, MARKERS[number % len(MARKERS)], color=colour, markersize=9,
                markeredgecolor="black", label=f"{curve.dataset}: the product's limits",
            )  # fmt: skip
    highest = max([0.02, *(risk for curve in study.curves for risk in curve.risk)])
    axes.axhline(0.01, linestyle=":", color="grey", linewidth=1)
    axes.axvline(0.8, linestyle=":", color="grey", linewidth=1)
    axes.set_xlim(0, 1.02)
    axes.set_ylim(-0.02 * highest, 1.1 * highest)
    axes.set_xlabel("coverage: share of cases with a finding stated")
    axes.set_ylabel("risk: share of wrong labels among those")
    axes.legend(loc="upper left", fontsize=8)
    axes.set_title("dotted: 99 % right at a coverage of 0.8", fontsize=10)


def _copies(axes: Axes, study: WriterStudy) -> None:
    groups = [one for one in study.poison if one.num_poisoned == 1]
    groups = [one for one in groups if one.dataset != "all"]
    systems = list(groups[0].systems)
    places = np.arange(len(systems), dtype=float)
    width = 0.8 / len(groups)
    for number, group in enumerate(groups):
        found = [group.systems[name][COPIES_LABEL] for name in systems]
        values = np.array([one.value for one in found])
        spread = [
            np.nan_to_num(values - np.array([one.low for one in found])),
            np.nan_to_num(np.array([one.high for one in found]) - values),
        ]
        axes.bar(
            places + width * (number + 0.5) - 0.4, values, 0.9 * width,
            yerr=np.clip(spread, 0, None), capsize=3,
            color=COLOURS[(number + 1) % len(COLOURS)],
            label=f"{group.dataset} ({group.num_trials} trials)",
        )  # fmt: skip
    axes.axhline(_MOST_COPIES, linestyle=":", color="black", linewidth=1)
    axes.set_xticks(places, [name.replace(" ", "\n") for name in systems])
    axes.set_ylabel("share of reports that say the poisoned label")
    axes.set_ylim(0, None)
    axes.legend(fontsize=8)
    axes.set_title(f"one of the neighbours is poisoned; dotted: {_MOST_COPIES:g}", fontsize=10)


def _curve(axes: Axes, study: WriterStudy) -> None:
    """Copies over the number of poisoned neighbours, of all data together."""
    groups = of_everything(study.poison)
    for number, name in enumerate(groups[0].systems):
        with_intervals(
            axes,
            [one.num_poisoned + 0.06 * (number - 2) for one in groups],
            [one.systems[name][COPIES_LABEL] for one in groups],
            number,
            fmt=f"{MARKERS[number % len(MARKERS)]}-",
            label=name,
        )
    axes.set_xticks([one.num_poisoned for one in groups])
    axes.set_xlabel("poisoned neighbours")
    axes.set_ylabel("share of reports that say the poisoned label")
    axes.set_ylim(-0.02, 1.02)
    axes.legend(loc="upper left", fontsize=8)


def _floor(found: list[Interval]) -> float:
    lows = [value for one in found for value in (one.low, one.value) if not math.isnan(value)]
    return max(0.0, math.floor(min(lows, default=0.0) * 10 - 0.5) / 10)
