"""Writers measured on held-out cases: every system on the same evidence, by data set and site.

Reports in, figures out. No engine is asked here, and no store is read: see
`train_jobs.evaluate_writer`. What is written of it is `writer_folder`'s business.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np

from pirta.errors import ManifestError
from pirta.evaluation.intervals import Interval, draw_weights
from pirta.evaluation.writer_comparison import SystemComparison, compare_with_best
from pirta.evaluation.writer_figures import system_values
from pirta.evaluation.writer_poison import PoisonFigures, PoisonTrial, poison_figures
from pirta.evaluation.writer_reports import ToldReport, WriterCase

Json: TypeAlias = "str | int | float | bool | list[Json] | Mapping[str, Json] | None"
Told: TypeAlias = Mapping[str, Sequence[ToldReport]]


@dataclass(frozen=True)
class WriterOptions:
    """What an evaluation of writers can be told; the seed is the bootstrap's."""

    num_resamples: int = 1000
    seed: int = 0


@dataclass(frozen=True)
class SystemRoles:
    """Which of the systems is what.

    Attributes:
        product: as served.
        always: the product without limits of abstention, for cases compared one by one.
        naive: the writer alone, unchecked.
        baselines: rules without a model.
    """

    product: str
    always: str
    naive: str
    baselines: tuple[str, ...]


@dataclass(frozen=True)
class RiskCurve:
    """Risk against coverage of one data set, from the most to the least confident.

    Attributes:
        coverage, risk: share of cases answered, and of wrong ones among those.
        aurc: mean risk over all coverages.
        at_limits: coverage and risk of the product; None where it states nothing.
    """

    dataset: str
    coverage: tuple[float, ...]
    risk: tuple[float, ...]
    aurc: float
    at_limits: tuple[float, float] | None


@dataclass(frozen=True)
class WriterGroup:
    """Some of the cases, and each system's figures on them.

    Attributes:
        kind: "all", "data" or "site".
        systems: figures by system, each with its 95 % interval over patients.
        outcomes: how many reports of each mode a system made, and "out of form".
        reasons: codes of the reports that are not written ones, with their counts.
    """

    kind: str
    name: str
    num_cases: int
    num_strokes: int
    num_patients: int
    systems: Mapping[str, Mapping[str, Interval]]
    outcomes: Mapping[str, Mapping[str, int]]
    reasons: Mapping[str, Mapping[str, int]]


@dataclass(frozen=True)
class WriterStudy:
    """All that one evaluation of writers found.

    Attributes:
        origin: what it was made with: command, weights, data, limits.
        groups: the first holds all cases.
    """

    origin: Mapping[str, Json]
    roles: SystemRoles
    groups: tuple[WriterGroup, ...]
    comparisons: tuple[SystemComparison, ...]
    poison: tuple[PoisonFigures, ...]
    curves: tuple[RiskCurve, ...]
    options: WriterOptions = field(default_factory=WriterOptions)


def study_writers(
    cases: Sequence[WriterCase],
    told: Told,
    *,
    roles: SystemRoles,
    origin: Mapping[str, Json],
    curves: Sequence[RiskCurve] = (),
    poisoned: tuple[Sequence[PoisonTrial], Told] = ((), {}),
    options: WriterOptions | None = None,
) -> WriterStudy:
    """Measure every system.

    Args:
        told: each system's reports, in the order of the cases.
        poisoned: trials, and the reports of some systems in their order.

    Raises:
        ManifestError: there is no case.
    """
    if not cases:
        raise ManifestError(
            "There is no held-out case to measure a writer on.",
            remedy="Name data with cases, and leave out fewer patients.",
        )
    options = options or WriterOptions()
    trials, told_poisoned = poisoned
    sets = _sets(cases)
    return WriterStudy(
        origin=origin,
        roles=roles,
        groups=tuple(
            _group(kind, name, *_taken(cases, told, rows), options) for kind, name, rows in sets
        ),
        comparisons=tuple(
            found
            for kind, name, rows in sets
            if kind == "data"
            for found in _comparisons(name, *_taken(cases, told, rows), roles, options)
        ),
        poison=poison_figures(
            trials, told_poisoned, num_resamples=options.num_resamples, seed=options.seed
        ),
        curves=tuple(curves),
        options=options,
    )


def _sets(cases: Sequence[WriterCase]) -> list[tuple[str, str, list[int]]]:
    """All cases, each data set, each site; a site of two data sets once for each."""
    sets = [("all", "all", list(range(len(cases))))]
    for name in dict.fromkeys(case.dataset for case in cases):
        sets.append(("data", name, [n for n, case in enumerate(cases) if case.dataset == name]))
    for site, name in sorted({(case.site, case.dataset) for case in cases}):
        rows = [n for n, case in enumerate(cases) if (case.site, case.dataset) == (site, name)]
        sets.append(("site", f"{site} ({name})", rows))
    return sets


def _taken(
    cases: Sequence[WriterCase], told: Told, rows: Sequence[int]
) -> tuple[list[WriterCase], dict[str, list[ToldReport]]]:
    return (
        [cases[row] for row in rows],
        {name: [reports[row] for row in rows] for name, reports in told.items()},
    )


def _group(
    kind: str, name: str, cases: Sequence[WriterCase], told: Told, options: WriterOptions
) -> WriterGroup:
    patient_ids = np.array([case.patient_id for case in cases])
    weights_SQ = draw_weights(patient_ids, num_resamples=options.num_resamples, seed=options.seed)
    return WriterGroup(
        kind=kind,
        name=name,
        num_cases=len(cases),
        num_strokes=sum(case.truth is not None for case in cases),
        num_patients=len(set(patient_ids.tolist())),
        systems={
            system: {
                figure: value.interval()
                for figure, value in system_values(cases, reports, weights_SQ).items()
            }
            for system, reports in told.items()
        },
        outcomes={
            system: _counted("out of form" if one.read is None else one.mode for one in reports)
            for system, reports in told.items()
        },
        reasons={
            system: _counted(code for one in reports for code in one.reasons)
            for system, reports in told.items()
        },
    )


def _counted(names: Iterable[str]) -> dict[str, int]:
    """How often each stands there, the commonest first."""
    return dict(Counter(names).most_common())


def _comparisons(
    name: str,
    cases: Sequence[WriterCase],
    told: Told,
    roles: SystemRoles,
    options: WriterOptions,
) -> list[SystemComparison]:
    asked = ((roles.always, False), (roles.product, True))
    found = [
        compare_with_best(
            cases,
            told,
            dataset=name,
            system=system,
            baselines=roles.baselines,
            stated_only=stated_only,
            num_resamples=options.num_resamples,
            seed=options.seed,
        )
        for system, stated_only in asked
    ]
    return [one for one in found if one is not None]
