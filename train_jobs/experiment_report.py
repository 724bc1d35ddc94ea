"""The pretraining experiment as the paper's two tables, and as one picture.

Rows are arms within sites. A figure that is not defined (no normal at a site) says so.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from pirta.contracts.finding import LABELS
from pirta.evaluation.encoder_evaluation import Group
from pirta.evaluation.retrieval_metrics import Normalisation
from train_jobs.experiment_plans import ExperimentPlan

_NORMALISATION = Normalisation.REACHABLE
_RETRIEVAL = {
    **{f"mAP@{n}": f"mAP@{n} / {_NORMALISATION}" for n in (1, 3, 5, 10)},
    **{f"Acc@{k} (any hit)": f"any-hit Acc@{k}" for k in (3, 5, 10)},
}
_CLASSES = {
    "accuracy": "accuracy",
    **{f"{label}, one-vs-rest": f"{label}: one-vs-rest accuracy" for label in LABELS},
    "balanced accuracy": "balanced accuracy",
    "any lesion: sensitivity": "any lesion: sensitivity",
    "any lesion: specificity": "any lesion: specificity",
}
_SHOWN = ("precision@1", "balanced accuracy")


def render_tables(plan: ExperimentPlan, by_arm: Mapping[str, Sequence[Group]]) -> str:
    """Return retrieval (the paper's table 4) and classification (table 6) as Markdown."""
    large = plan.mae.num_volumes or "all"
    lines = [
        f"Plan '{plan.name}': small pretraining sees {plan.num_small} volumes, large {large}, each "
        f"{plan.mae.num_steps} steps of {plan.mae.batch_size}; then {plan.territory.num_steps} "
        f"steps of {plan.territory.batch_size} with labels. mAP normalised by {_NORMALISATION}; "
        "mAP@1 is precision@1. 95 % bootstrap intervals over patients.",
        "",
        "Retrieval (the paper's table 4):",
        "",
        *_table(by_arm, _RETRIEVAL),
        "",
        "Classification by the encoder's own head (the paper's table 6):",
        "",
        *_table(by_arm, _CLASSES),
    ]
    return "\n".join(lines) + "\n"


def draw_chart(by_arm: Mapping[str, Sequence[Group]], path: Path) -> None:
    """Draw precision@1 and balanced accuracy of each site, a bar for each arm."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, len(_SHOWN), sharey=True)
    width = 0.8 / len(by_arm)
    for panel, name in zip(panels, _SHOWN, strict=True):
        for number, (arm, groups) in enumerate(by_arm.items()):
            values = [group.figures[name] for group in groups]
            middle = np.array([value.value for value in values])
            away = [
                middle - [value.low for value in values],
                [value.high for value in values] - middle,
            ]
            places = np.arange(len(groups)) + (number - (len(by_arm) - 1) / 2) * width
            panel.bar(places, middle, width, yerr=np.nan_to_num(away), capsize=2, label=arm)
        panel.set_xticks(range(len(groups)), [group.name for group in groups])
        panel.set_title(name)
        panel.set_ylim(0, 1.02)
        panel.axhline(1 / len(LABELS), color="gray", linewidth=0.8, linestyle=":")
    handles, names = panels[-1].get_legend_handles_labels()
    figure.legend(handles, names, title="pretraining", loc="outside right center")
    figure.savefig(path, dpi=120)


def _table(by_arm: Mapping[str, Sequence[Group]], columns: Mapping[str, str]) -> list[str]:
    lines = [
        f"| site | cases (strokes) | pretraining | {' | '.join(columns)} |",
        f"| --- | ---: | --- |{' ---: |' * len(columns)}",
    ]
    num_sites = len(next(iter(by_arm.values())))
    for number in range(num_sites):
        for arm, groups in by_arm.items():
            group = groups[number]
            cells = " | ".join(_cell(group, name) for name in columns.values())
            lines.append(
                f"| {group.name} | {group.num_cases} ({group.num_strokes}) | {arm} | {cells} |"
            )
    return lines


def _cell(group: Group, name: str) -> str:
    value = group.figures[name]
    if math.isnan(value.value):
        return "not defined"
    if math.isnan(value.low):  # no resample differs: a bootstrap says nothing of it
        return f"{value.value:.2f}"
    return f"{value.value:.2f} ({value.low:.2f}-{value.high:.2f})"
