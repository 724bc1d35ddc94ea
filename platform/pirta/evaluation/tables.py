"""An evaluation as a Markdown table for a document, or as a rich one for the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pirta.contracts.finding import LABELS
from pirta.evaluation.encoder_evaluation import EncoderEvaluation

if TYPE_CHECKING:
    from rich.console import RenderableType


def caption(evaluation: EncoderEvaluation) -> str:
    """Return what the figures are of: cases, sites, normalisation, interval."""
    return (
        f"{evaluation.num_queries} queries ({', '.join(evaluation.sites)}) against "
        f"{evaluation.num_index} index cases; mAP normalised by {evaluation.normalisation}; "
        "95 % bootstrap intervals over patients."
    )


def render_markdown(evaluation: EncoderEvaluation) -> str:
    """Return the figures and the confusion matrix as two Markdown tables."""
    lines = [caption(evaluation), "", "| figure | value (95 % interval) |", "| --- | --- |"]
    lines += [f"| {name} | {interval} |" for name, interval in evaluation.figures.items()]
    head = " | ".join(LABELS)
    lines += ["", f"| truth \\ called | {head} |", "| --- |" + " ---: |" * len(LABELS)]
    for label, row in zip(LABELS, evaluation.confusion_KK, strict=True):
        lines.append(f"| {label} | {' | '.join(str(count) for count in row)} |")
    return "\n".join(lines) + "\n"


def render_rich(evaluation: EncoderEvaluation) -> RenderableType:
    """Return the same for a terminal of 80 columns."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    figures = Table("figure", "value (95 % interval)", title="Encoder on held-out studies")
    for name, interval in evaluation.figures.items():
        figures.add_row(name, str(interval))
    counts = Table("truth \\ called", title="Confusion")
    for label in LABELS:
        counts.add_column(label, justify="right")
    for label, row in zip(LABELS, evaluation.confusion_KK, strict=True):
        counts.add_row(label, *(str(count) for count in row))
    return Group(Text(caption(evaluation)), figures, counts)
