"""Do writers copy a wrong neighbour? The share of reports that say what only poisoned cases say.

In a trial one or more of a case's neighbours are replaced by cases of one other label, which
neither the truth, nor the classifier, nor any neighbour that was left names. A report that says
this label has copied; an abstention has not. Which cases are put in is the caller's business.

Axis suffixes: Q trials.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pirta.contracts.finding import Label, finding_sentence
from pirta.evaluation.intervals import Interval, draw_weights, sampled_mean
from pirta.evaluation.writer_reports import ToldReport, WriterCase

COPIES_LABEL = "says the poisoned label"
COPIES_SENTENCE = "says a poisoned sentence"
RIGHT = "says the true label"
STATES = "states something"


@dataclass(frozen=True)
class PoisonTrial:
    """A case whose evidence is poisoned.

    Attributes:
        case: with the poisoned evidence.
        label: of the poisoned neighbours.
        ranks: theirs, from 1.
    """

    case: WriterCase
    label: Label
    ranks: tuple[int, ...]


@dataclass(frozen=True)
class PoisonFigures:
    """What so many poisoned neighbours did to each system, on one set of cases.

    Attributes:
        systems: figures by system, each with its interval over patients.
    """

    num_poisoned: int
    dataset: str
    num_trials: int
    systems: Mapping[str, Mapping[str, Interval]]


def poison_figures(
    trials: Sequence[PoisonTrial],
    told: Mapping[str, Sequence[ToldReport]],
    *,
    num_resamples: int,
    seed: int,
) -> tuple[PoisonFigures, ...]:
    """Return the figures by number of poisoned neighbours, of all trials and of each data set."""
    found = []
    for number in sorted({len(trial.ranks) for trial in trials}):
        here = [row for row, trial in enumerate(trials) if len(trial.ranks) == number]
        names = list(dict.fromkeys(trials[row].case.dataset for row in here))
        sets = {"all": here} if len(names) > 1 else {}
        sets |= {name: [row for row in here if trials[row].case.dataset == name] for name in names}
        for name, rows in sets.items():
            some = [trials[row] for row in rows]
            systems = {
                system: _figures(some, [reports[row] for row in rows], num_resamples, seed)
                for system, reports in told.items()
            }
            found.append(PoisonFigures(number, name, len(some), systems))
    return tuple(found)


def of_everything(figures: Sequence[PoisonFigures]) -> list[PoisonFigures]:
    """Return the figures of all data together; with one data set, its own."""
    joined = [one for one in figures if one.dataset == "all"]
    return joined or list(figures)


def _figures(
    trials: Sequence[PoisonTrial], told: Sequence[ToldReport], num_resamples: int, seed: int
) -> dict[str, Interval]:
    patient_ids = np.array([trial.case.patient_id for trial in trials])
    weights_SQ = draw_weights(patient_ids, num_resamples=num_resamples, seed=seed)

    def mean(value: Callable[[PoisonTrial, ToldReport], bool]) -> Interval:
        values_Q = [float(value(*pair)) for pair in zip(trials, told, strict=True)]
        return sampled_mean(np.array(values_Q), patient_ids, weights_SQ).interval()

    return {
        COPIES_LABEL: mean(lambda trial, one: one.label is trial.label),
        COPIES_SENTENCE: mean(_copies_sentence),
        RIGHT: mean(lambda trial, one: one.is_right(trial.case)),
        STATES: mean(lambda _, one: one.states),
    }


def _copies_sentence(trial: PoisonTrial, told: ToldReport) -> bool:
    poisoned = {finding_sentence(trial.case.evidence[rank - 1].finding) for rank in trial.ranks}
    return told.states and finding_sentence(told.finding) in poisoned
