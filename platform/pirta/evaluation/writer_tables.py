"""A study of writers as Markdown tables for a document, or as a rich table for the terminal."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pirta.evaluation.intervals import Interval
from pirta.evaluation.tables import markdown_table
from pirta.evaluation.writer_evaluation import WriterGroup, WriterStudy
from pirta.evaluation.writer_figures import (
    ACCURACY,
    CONTRADICTION,
    COVERAGE,
    FIDELITY,
    FORM,
    RETRIEVAL,
    SELECTIVE,
    SENTENCE,
    SENTENCE_SELECTIVE,
    SLOT,
    UNSOURCED,
)
from pirta.evaluation.writer_poison import (
    COPIES_LABEL,
    COPIES_SENTENCE,
    RIGHT,
    STATES,
    of_everything,
)

if TYPE_CHECKING:
    from rich.console import RenderableType

_ACCURACY = (ACCURACY, SELECTIVE, COVERAGE, SENTENCE, SENTENCE_SELECTIVE)
_TRUST = (FORM, FIDELITY, CONTRADICTION, UNSOURCED)
_NOTES = (
    "Systems. *product*: neighbours, writer, grounding, abstention, as served. *no abstention*: "
    "the same without limits. *no grounding*: the writer alone, unchecked, held to the form (the "
    "naive writer). *free decoding*: that writer, not held to the form. *top 1*: the product with "
    "one neighbour. *no retrieval*: the writer alone, no neighbour in its prompt. Baselines: "
    "*classifier template* (the classifier's label in its commonest sentence), *first neighbour* "
    "(copied), *majority* (weighted by similarity).",
    "Of all: an abstention is no right answer. Contradictions are of stated texts, by the rules of "
    "grounding; unsupported statements (label, class, type) stand in no neighbour, nor in the "
    "classifier's label. The answer's form names no side: laterality is not stated. No n-gram "
    "score was computed: legal sentences differ in the slots alone, which slot-F1 counts.",
)


def caption(study: WriterStudy) -> str:
    """Return what the figures are of."""
    everything, origin = study.groups[0], study.origin
    notes = ""
    if origin.get("num_left_out"):
        notes = f" {origin['num_left_out']} cases of patients named as learnt from are left out."
    return (
        f"{everything.num_cases} queries ({everything.num_strokes} strokes, "
        f"{everything.num_patients} patients), the nearest {origin.get('top_k')} index cases of "
        f"other patients by exact search; greedy decoding; 95 % bootstrap intervals over patients, "
        f"{study.options.num_resamples} resamples. {_limits(study)}{notes}"
    )


def _limits(study: WriterStudy) -> str:
    """Which limits the product had, and whether they saw what they are measured on."""
    fitted = study.origin.get("limits_fitted_on")
    if not isinstance(fitted, Mapping):
        return "Limits of abstention: those of an index that nobody calibrated."
    said = f"Limits of abstention: fitted on {fitted.get('name')}."
    seen = fitted.get("seen_in")
    if isinstance(seen, list) and seen:
        names = ", ".join(str(name) for name in seen)
        said += f" They come from the store of {names}, where the product's figures may flatter."
    return said


def render_writers(study: WriterStudy) -> str:
    """Return the study as one page of tables."""
    command = study.origin.get("command")
    blocks = [f"```bash\n{command}\n```"] if command else []
    blocks += [caption(study), *_NOTES, "\n".join(f"- {one}" for one in study.comparisons)]
    for group in _by_data(study):
        blocks += [f"### {group.name}: {group.num_cases} queries ({group.num_strokes} strokes)"]
        blocks += [_systems(group, _ACCURACY), _systems(group, _TRUST), _slots(group)]
        blocks += [_outcomes(group)]
    blocks += [_by_site(study), _poison(study), _curves(study)]
    return "\n\n".join(block for block in blocks if block) + "\n"


def render_rich(study: WriterStudy) -> RenderableType:
    """Return the main figures for a terminal of 80 columns."""
    from rich.console import Group as Together
    from rich.table import Table
    from rich.text import Text

    parts: list[RenderableType] = [Text(caption(study))]
    for group in _by_data(study):
        table = Table("system", ACCURACY, SELECTIVE, COVERAGE, title=group.name)
        for name, figures in group.systems.items():
            table.add_row(
                name, *(str(figures[figure]) for figure in (ACCURACY, SELECTIVE, COVERAGE))
            )
        parts.append(table)
    return Together(*parts, *(Text(str(one)) for one in study.comparisons))


def _by_data(study: WriterStudy) -> list[WriterGroup]:
    return [group for group in study.groups if group.kind == "data"]


def _systems(group: WriterGroup, names: Sequence[str]) -> str:
    """A row a system; the accuracies of the images stand first where accuracies are shown."""
    rows = [
        [system, *(str(figures[name]) for name in names)]
        for system, figures in group.systems.items()
    ]
    if ACCURACY in names:
        retrieval = next(iter(group.systems.values()))[RETRIEVAL]
        rows.insert(0, [RETRIEVAL, str(retrieval), *("" for _ in names[1:])])
    return markdown_table(["system", *names], rows)


def _slots(group: WriterGroup) -> str:
    names = [name for name in next(iter(group.systems.values())) if name.startswith(SLOT)]
    return markdown_table(
        ["slot-F1 of all", *(name.removeprefix(SLOT) for name in names)],
        [
            [system, *(_or_not_stated(figures[name]) for name in names)]
            for system, figures in group.systems.items()
        ],
    )


def _or_not_stated(interval: Interval) -> str:
    return "not stated" if math.isnan(interval.value) else str(interval)


def _outcomes(group: WriterGroup) -> str:
    """How the reports of systems that can be anything but written came about."""
    rows = [
        [
            system,
            ", ".join(f"{mode} {count}" for mode, count in group.outcomes[system].items()),
            _counts(group.reasons[system]),
        ]
        for system in group.systems
        if set(group.outcomes[system]) != {"written"}
    ]
    if not rows:
        return ""
    return markdown_table(["system", "reports", "reasons (a report may have several)"], rows)


def _counts(counts: Mapping[str, int]) -> str:
    ranked = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    return ", ".join(f"{name} {count}" for name, count in ranked) or "none"


def _by_site(study: WriterStudy) -> str:
    shown = (study.roles.product, study.roles.always, *study.roles.baselines)
    product = study.roles.product
    return markdown_table(
        ["site", "cases (strokes)", RETRIEVAL, f"{product}: of stated", f"{product}: coverage",
         *(f"{name}: of all" for name in shown[1:])],
        (
            [
                group.name,
                f"{group.num_cases} ({group.num_strokes})",
                str(group.systems[product][RETRIEVAL]),
                str(group.systems[product][SELECTIVE]),
                str(group.systems[product][COVERAGE]),
                *(str(group.systems[name][ACCURACY]) for name in shown[1:]),
            ]
            for group in study.groups
            if group.kind == "site"
        ),
    )  # fmt: skip


def _poison(study: WriterStudy) -> str:
    """One poisoned neighbour in full; of more, the copies in all data together."""
    if not study.poison:
        return ""
    names = (COPIES_LABEL, COPIES_SENTENCE, RIGHT, STATES)
    rows = [
        [f"{one.dataset}: {system}", str(one.num_trials), *(str(figures[name]) for name in names)]
        for one in study.poison
        if one.num_poisoned == 1
        for system, figures in one.systems.items()
    ]
    more = of_everything(study.poison)
    curve = [
        [system, *(str(one.systems[system][COPIES_LABEL]) for one in more)]
        for system in more[0].systems
    ]
    numbers = (f"{one.num_poisoned} poisoned ({one.num_trials} trials)" for one in more)
    return "\n\n".join(
        [
            markdown_table(["one poisoned neighbour", "trials", *names], rows),
            markdown_table([f"{more[0].dataset}: {COPIES_LABEL}", *numbers], curve),
        ]
    )


def _curves(study: WriterStudy) -> str:
    return markdown_table(
        ["risk-coverage", "AURC", "risk without limits", "coverage at limits", "risk at limits"],
        [
            [
                curve.dataset,
                f"{curve.aurc:.4f}",
                f"{curve.risk[-1]:.4f}",
                *("states nothing" if at is None else f"{at[place]:.4f}" for place in (0, 1)),
            ]
            for curve in study.curves
            for at in [curve.at_limits]
        ],
    )
