"""An encoder's study as pictures, one message each, PNG (see `drawing`).

A picture whose figures are not defined (no stroke, no projection) is left out.

Axis suffixes: Q cases, P the projection's plane.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pirta.contracts.finding import LABELS
from pirta.evaluation.calibration import ReliabilityBin
from pirta.evaluation.drawing import COLOURS, MARKERS, png, with_intervals
from pirta.evaluation.encoder_study import EncoderStudy
from pirta.evaluation.projection import Projection

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from pirta.evaluation.drawing import Draw

# Curves that are all this good are shown in the upper left quarter alone.
_GOOD_AREA = 0.95
_SPECIFICITY = "any lesion at threshold: specificity"


def draw_figures(study: EncoderStudy) -> dict[str, bytes]:
    """Return the pictures as PNG, by name."""
    drawn: dict[str, Draw] = {"confusion": lambda axes: _confusion(axes, study)}
    queries = study.queries
    if queries.is_stroke_Q.any() and not queries.is_stroke_Q.all():
        drawn["roc"] = lambda axes: _roc(axes, study)
    drawn["reliability"] = lambda axes: _reliability(axes, study)
    if study.evaluation.groups[0].size_curve:
        drawn["sensitivity_by_size"] = lambda axes: _size_curve(axes, study)
    drawn["precision_by_data"] = lambda axes: _precision(axes, study)
    plane = study.projection
    if plane is not None:
        names = np.array([str(label) for label in LABELS])[queries.truths_Q]
        order = [str(label) for label in LABELS]
        drawn["projection_by_label"] = lambda axes: _plane(axes, plane, names, order, "label")
        sites = sorted(set(queries.sites.tolist()))
        drawn["projection_by_site"] = lambda axes: _plane(axes, plane, queries.sites, sites, "site")
    return {name: png(draw) for name, draw in drawn.items()}


def _confusion(axes: Axes, study: EncoderStudy) -> None:
    group = study.evaluation.groups[0]
    counts = np.array(group.confusion_KK)
    whole = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, whole, out=np.zeros(counts.shape), where=whole > 0)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(counts):
        axes.text(
            column,
            row,
            f"{count}\n{shares[row, column]:.0%}" if whole[row, 0] else f"{count}",
            ha="center",
            va="center",
            color="white" if shares[row, column] > 0.55 else "black",
        )
    names = [label.replace("_", " ") for label in LABELS]
    axes.set_xticks(range(len(names)), names)
    axes.set_yticks(range(len(names)), names)
    axes.set_xlabel("called")
    axes.set_ylabel("truth")
    accuracy = group.figures["balanced accuracy"]
    axes.set_title(f"{group.num_cases} queries: balanced accuracy {accuracy}", fontsize=11)


def _roc(axes: Axes, study: EncoderStudy) -> None:
    """One curve for each data set that has both kinds, and one for all."""
    from sklearn.metrics import roc_curve

    queries = study.queries
    names = sorted(set(queries.datasets.tolist()))
    parts = [("all", np.ones(len(queries), bool))]
    parts += [(name, queries.datasets == name) for name in names] if len(names) > 1 else []
    figures = {one.name: one.figures for one in study.evaluation.groups if one.kind == "data"}
    figures["all"] = study.evaluation.figures
    point = study.evaluation.operating_point
    for number, (name, rows_Q) in enumerate(parts):
        some = queries.take(rows_Q)
        if some.is_stroke_Q.all() or not some.is_stroke_Q.any():
            continue
        false_share, true_share, _ = roc_curve(some.is_stroke_Q, some.lesion_scores_Q)
        area = figures[name]["any lesion: AUROC"]
        colour = "black" if name == "all" else COLOURS[number % len(COLOURS)]
        axes.step(
            false_share, true_share, where="post", color=colour, label=f"{name}: AUROC {area}"
        )
        if point is not None:
            calls_Q = some.lesion_scores_Q >= point.threshold
            axes.plot(
                calls_Q[~some.is_stroke_Q].mean(), calls_Q[some.is_stroke_Q].mean(), "o",
                color=colour, markersize=8, markeredgecolor="white",
            )  # fmt: skip
    axes.plot([0, 1], [0, 1], ":", color="grey", linewidth=1)
    axes.set_xlabel("1 - specificity")
    axes.set_ylabel("sensitivity for any acute lesion")
    good = min(figures[name]["any lesion: AUROC"].value for name, _ in parts) > _GOOD_AREA
    axes.set_xlim(*((-0.01, 0.5) if good else (-0.02, 1.02)))
    axes.set_ylim(*((0.5, 1.01) if good else (-0.02, 1.02)))
    axes.legend(loc="lower right", fontsize=8)
    if point is not None:
        axes.set_title(
            f"dots: threshold {point.threshold:.3f}, chosen on {', '.join(point.chosen_on)}",
            fontsize=10,
        )


def _reliability(axes: Axes, study: EncoderStudy) -> None:
    evaluation = study.evaluation
    figures = evaluation.figures
    axes.plot([0, 1], [0, 1], ":", color="grey", linewidth=1, label="what it says is what holds")
    _bins(axes, evaluation.reliability, COLOURS[2], f"as it is: ECE {figures['ECE']}")
    if evaluation.temperature is not None:
        scaled = figures["ECE, temperature scaled"]
        label = f"temperature {evaluation.temperature:.2f}: ECE {scaled}"
        _bins(axes, evaluation.reliability_scaled, COLOURS[1], label)
    axes.set_xlabel("mean probability of the likeliest class")
    axes.set_ylabel("share called rightly")
    axes.set_title(f"{evaluation.options.num_bins} bins of equal mass", fontsize=11)
    axes.legend(loc="upper left", fontsize=8)
    axes.set_xlim(1 / len(LABELS) - 0.03, 1.02)  # the likeliest class has at least its share
    axes.set_ylim(-0.02, 1.02)


def _bins(axes: Axes, bins: tuple[ReliabilityBin, ...], colour: str, label: str) -> None:
    confidence = [one.mean_confidence for one in bins]
    right = [one.share_right for one in bins]
    axes.plot(confidence, right, "o-", color=colour, label=label, markersize=5)


def _size_curve(axes: Axes, study: EncoderStudy) -> None:
    """One curve for each data set with strokes; the counts stand below where there is one."""
    groups = [one for one in study.evaluation.groups if one.kind == "data" and one.size_curve]
    volumes: list[float] = []
    for number, group in enumerate(groups):
        curve = group.size_curve
        # A little apart, so that the intervals of equal volumes do not hide each other.
        at_ml = [point.volume_ml * 1.06 ** (number - (len(groups) - 1) / 2) for point in curve]
        specificity = group.figures.get(_SPECIFICITY, group.figures["any lesion: specificity"])
        with_intervals(
            axes, at_ml, [point.sensitivity for point in curve], number, fmt="o-",
            label=f"{group.name}: specificity {specificity}",
        )  # fmt: skip
        volumes += at_ml
        for at, point in zip(at_ml, curve, strict=True):
            if len(groups) == 1:
                axes.annotate(
                    f"{point.num_called}/{point.num_cases}", (at, 0.0), xytext=(0, 4),
                    textcoords="offset points", ha="center", fontsize=7, rotation=90,
                )  # fmt: skip
    axes.axhline(0.95, linestyle=":", color="grey", linewidth=1)
    axes.axvline(1.0, linestyle=":", color="grey", linewidth=1)
    axes.set_xscale("log")
    ticks = [0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.set_xlim(min(0.04, *volumes) * 0.9, max(60.0, *volumes) * 1.1)
    axes.set_ylim(0, 1.03)
    axes.set_xlabel("lesion volume (ml)")
    axes.set_ylabel("sensitivity for any acute lesion, exact 95 % interval")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=2, fontsize=8, frameon=False)
    threshold = study.evaluation.judgement().threshold
    called = "the likeliest class" if threshold is None else f"the threshold {threshold:.3f}"
    axes.set_title(f"called by {called}", fontsize=11)


def _precision(axes: Axes, study: EncoderStudy) -> None:
    evaluation = study.evaluation
    ranks = evaluation.options.ranks
    groups = [group for group in evaluation.groups if group.kind == "data"]
    places = np.arange(len(ranks), dtype=float)
    for number, group in enumerate(groups):
        shift = 0.6 * (number + 0.5) / len(groups) - 0.3
        with_intervals(
            axes,
            list(places + shift),
            [group.figures[f"precision@{k}"] for k in ranks],
            number,
            fmt=MARKERS[number % len(MARKERS)],
            label=f"{group.name} ({group.num_cases})",
        )
    low = min(
        (group.figures[f"precision@{k}"].low for group in groups for k in ranks),
        default=0.0,
    )
    axes.set_ylim(0.0 if math.isnan(low) else max(0.0, math.floor(low * 10 - 0.5) / 10), 1.01)
    axes.set_xticks(places, [f"precision@{k}" for k in ranks])
    axes.set_ylabel("share of the neighbours with the query's label")
    axes.legend(loc="lower left", fontsize=8)
    axes.grid(axis="y", linewidth=0.4)


def _plane(
    axes: Axes, plane: Projection, names_Q: NDArray[np.str_], order: list[str], what: str
) -> None:
    for number, name in enumerate(order):
        rows_Q = names_Q == name
        if rows_Q.any():
            axes.scatter(
                plane.plane_QP[rows_Q, 0], plane.plane_QP[rows_Q, 1], s=14, alpha=0.8, linewidths=0,
                color=COLOURS[number % len(COLOURS)], marker=MARKERS[number % len(MARKERS)],
                label=f"{name.replace('_', ' ')} ({int(rows_Q.sum())})",
            )  # fmt: skip
    axes.set_xticks([])
    axes.set_yticks([])
    axes.legend(
        fontsize=8, markerscale=1.6, loc="upper center", bbox_to_anchor=(0.5, -0.01), ncols=4,
        frameon=False,
    )  # fmt: skip
    axes.set_title(f"by {what} · {plane.method}", fontsize=10)
