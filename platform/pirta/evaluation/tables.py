"""An encoder's study as Markdown tables for a document, or as a rich table for the terminal."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from pirta.contracts.finding import LABELS
from pirta.evaluation.encoder_evaluation import EncoderEvaluation, Group
from pirta.evaluation.encoder_study import EncoderStudy
from pirta.evaluation.paired_comparison import Comparison
from pirta.evaluation.retrieval_metrics import Normalisation
from pirta.evaluation.site_probe import SiteProbe

if TYPE_CHECKING:
    from rich.console import RenderableType

NORMALISATION = Normalisation.REACHABLE
"""Of the mAP in the tables; the JSON holds all."""

_OF_CLASSES = (
    "accuracy", "balanced accuracy", "macro-F1",
    "any lesion: sensitivity", "any lesion: specificity", "any lesion: AUROC",
    "any lesion at threshold: sensitivity", "any lesion at threshold: specificity",
    "any lesion: sensitivity at own specificity 0.95", "any lesion >= 1 ml: AUROC",
    "any lesion >= 1 ml: sensitivity at own specificity 0.95",
    "any lesion >= 1 ml at threshold: sensitivity",
    "ECE", "ECE, temperature scaled", "Brier score", "Brier score, temperature scaled",
)  # fmt: skip
_OF_PARTS = (
    "precision@1", "balanced accuracy", "any lesion: AUROC",
    "any lesion at threshold: sensitivity", "any lesion at threshold: specificity",
)  # fmt: skip
_OF_SIZES = (
    "precision@1", "accuracy", "any lesion: sensitivity", "any lesion at threshold: sensitivity",
)  # fmt: skip
_COMPARED = (
    "precision@1", "balanced accuracy", "any lesion: AUROC", "any lesion at threshold: sensitivity",
    "any lesion at threshold: specificity", "ECE", "Brier score",
)  # fmt: skip


def caption(evaluation: EncoderEvaluation) -> str:
    """Return what the figures are of: cases, normalisation, interval, threshold."""
    everything, point = evaluation.groups[0], evaluation.operating_point
    threshold = (
        "No operating point: no validation data with both normals and strokes."
        if point is None
        else f'"At threshold": {point}.'
    )
    notes = ""
    if evaluation.num_in_validation:
        notes += (
            f" {evaluation.num_in_validation} queries are of patients that threshold and "
            "temperature were chosen on, which flatters."
        )
    if evaluation.num_in_index:
        notes += (
            f" {evaluation.num_in_index} queries are of patients in the index, whose own scans "
            "are left out: most likely training data."
        )
    return (
        f"{everything.num_cases} queries ({everything.num_strokes} strokes, "
        f"{everything.num_patients} patients; sites {', '.join(evaluation.names('site'))}) against "
        f"{evaluation.num_index} index cases; mAP normalised by {NORMALISATION}; 95 % bootstrap "
        f"intervals over patients, {evaluation.options.num_resamples} resamples. {threshold}{notes}"
    )


def render_markdown(study: EncoderStudy) -> str:
    """Return the study as one page of tables."""
    evaluation, command = study.evaluation, study.origin.get("command")
    blocks = [f"```bash\n{command}\n```"] if command else []
    blocks += [caption(evaluation), _by_data(evaluation), _by_class(evaluation)]
    blocks += [_confusion(evaluation.groups[0])]
    blocks += [_by_group(evaluation, kind, _OF_PARTS) for kind in _kinds(evaluation)]
    blocks += [_by_group(evaluation, "lesion size", _OF_SIZES), _probes(study.probes)]
    blocks += [_representation(study), _comparison(study)]
    return "\n\n".join(block for block in blocks if block) + "\n"


def render_rich(study: EncoderStudy) -> RenderableType:
    """Return the main figures for a terminal of 80 columns."""
    from rich.console import Group as Together
    from rich.table import Table
    from rich.text import Text

    figures = Table("figure", "value (95 % interval)", title="Encoder on held-out studies")
    for name in _main(study.evaluation):
        figures.add_row(name, str(study.evaluation.figures[name]))
    counts = Table("truth \\ called", title="Confusion")
    for label in LABELS:
        counts.add_column(label, justify="right")
    for label, row in zip(LABELS, study.evaluation.groups[0].confusion_KK, strict=True):
        counts.add_row(label, *(str(count) for count in row))
    return Together(Text(caption(study.evaluation)), figures, counts)


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table, the first column to the left, the others to the right."""
    lines = [_row(head), "| --- |" + " ---: |" * (len(head) - 1)]
    return "\n".join([*lines, *(_row(row) for row in rows)])


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _main(evaluation: EncoderEvaluation) -> list[str]:
    retrieval = [
        name
        for name in evaluation.figures
        if name.startswith(("precision@", "any-hit Acc@"))
        or (name.startswith("mAP@") and name.endswith(f"/ {NORMALISATION}"))
    ]
    return retrieval + [name for name in _OF_CLASSES if name in evaluation.figures]


def _by_data(evaluation: EncoderEvaluation) -> str:
    groups = [group for group in evaluation.groups if group.kind == "data"]
    groups = groups if len(groups) == 1 else [evaluation.groups[0], *groups]
    rows = [["cases (strokes)", *(f"{one.num_cases} ({one.num_strokes})" for one in groups)]]
    for name in _main(evaluation):
        title = name.partition(" / ")[0]
        rows.append([title, *(str(group.figures[name]) for group in groups)])
    return markdown_table(["figure", *(group.name for group in groups)], rows)


def _by_class(evaluation: EncoderEvaluation) -> str:
    names = ("sensitivity", "specificity", "one-vs-rest accuracy")
    return markdown_table(
        ["class, all queries", *names],
        [
            [str(label), *(str(evaluation.figures[f"{label}: {name}"]) for name in names)]
            for label in LABELS
        ],
    )


def _confusion(group: Group) -> str:
    rows = zip(LABELS, group.confusion_KK, strict=True)
    return markdown_table(
        ["truth \\ called", *LABELS],
        [[str(label), *(str(count) for count in counts)] for label, counts in rows],
    )


def _kinds(evaluation: EncoderEvaluation) -> list[str]:
    """Sites and scanners, but only once where both divide the queries alike."""
    sites = [one.confusion_KK for one in evaluation.groups if one.kind == "site"]
    scanners = [one.confusion_KK for one in evaluation.groups if one.kind == "scanner"]
    return ["site"] if sorted(sites) == sorted(scanners) else ["site", "scanner"]


def _by_group(evaluation: EncoderEvaluation, kind: str, names: Sequence[str]) -> str:
    groups = [group for group in evaluation.groups if group.kind == kind]
    shown = [name for name in names if name in evaluation.figures]
    if not groups:
        return ""
    return markdown_table(
        [kind, "cases (strokes)", *shown],
        [
            [
                group.name,
                f"{group.num_cases} ({group.num_strokes})",
                *(str(group.figures[name]) for name in shown),
            ]
            for group in groups
        ],
    )


def _probes(probes: Sequence[SiteProbe]) -> str:
    return markdown_table(
        ["probe of the embedding", "cases", "balanced accuracy", "chance", "permutation p"],
        [
            [
                f"{probe.target} among {probe.among}",
                ", ".join(f"{name} {count}" for name, count in probe.num_cases.items()) or "none",
                str(probe.balanced_accuracy),
                _number(probe.chance),
                _number(probe.p_value),
            ]
            for probe in probes
        ],
    )


def _representation(study: EncoderStudy) -> str:
    plane = study.projection
    if plane is None:
        return "No projection: fewer than 16 cases."
    return (
        f"Figure 5 of the paper ({plane.method}): silhouette of four Gaussians' clusters in the "
        f"plane {_number(plane.cluster_silhouette)}, their agreement with the labels (adjusted "
        f"Rand index) {_number(plane.cluster_agreement)}; silhouette of the labels in the "
        f"embedding {_number(plane.label_silhouette)}."
    )


def _comparison(study: EncoderStudy) -> str:
    if study.comparison is None or study.other is None:
        return ""
    rows = [
        [
            name,
            str(study.evaluation.figures[name]),
            str(study.other.figures[name]),
            _signed(study.comparison, name),
        ]
        for name in _COMPARED
        if name in study.comparison.differences
    ]
    tests = [
        [name, str(test.only_first), str(test.only_second), f"{test.p_value:.4f}"]
        for name, test in study.comparison.answers.items()
    ]
    return "\n\n".join(
        [
            markdown_table(["figure", "this encoder", "compared with", "difference"], rows),
            markdown_table(
                ["right answers", "only this one", "only the other", "McNemar exact p"], tests
            ),
        ]
    )


def _signed(comparison: Comparison, name: str) -> str:
    interval = comparison.differences[name]
    if math.isnan(interval.value):
        return "not defined"
    if math.isnan(interval.low):
        return f"{interval.value:+.3f}"
    return f"{interval.value:+.3f} ({interval.low:+.3f} to {interval.high:+.3f})"


def _number(value: float) -> str:
    return "not defined" if math.isnan(value) else f"{value:.3f}"
