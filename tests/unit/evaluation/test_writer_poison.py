"""Who copies a poisoned neighbour, by the number of them and by data set."""

from __future__ import annotations

import pytest

from pirta.contracts.finding import LesionClass, Territory
from pirta.evaluation.writer_poison import (
    COPIES_LABEL,
    COPIES_SENTENCE,
    RIGHT,
    STATES,
    PoisonTrial,
    of_everything,
    poison_figures,
)
from tests.unit.evaluation.writers import ANTERIOR, DEEP, abstains, asked, lesion, says

MILD_DEEP = lesion(Territory.DEEP_GRAY, lesion_class=LesionClass.MILD)


def trial(number: int, *, ranks: tuple[int, ...] = (2,), dataset: str = "north") -> PoisonTrial:
    evidence = [DEEP if rank in ranks else ANTERIOR for rank in range(1, 6)]
    case = asked(ANTERIOR, number, evidence=evidence, dataset=dataset)
    return PoisonTrial(case, DEEP.label, ranks)


def test_the_label_is_copied_by_any_sentence_of_it_and_the_sentence_by_its_own() -> None:
    told = {"writer": [says(DEEP), says(MILD_DEEP), says(ANTERIOR), abstains()]}
    (found,) = poison_figures([trial(n) for n in range(4)], told, num_resamples=0, seed=0)
    figures = {name: one.value for name, one in found.systems["writer"].items()}
    assert figures == {COPIES_LABEL: 0.5, COPIES_SENTENCE: 0.25, RIGHT: 0.25, STATES: 0.75}


def test_figures_are_told_by_number_of_poisoned_and_by_data_set() -> None:
    trials = [trial(0), trial(1, dataset="south"), trial(2, ranks=(1, 3))]
    told = {"writer": [says(DEEP), says(ANTERIOR), says(DEEP)]}
    found = poison_figures(trials, told, num_resamples=0, seed=0)
    shown = [
        (one.num_poisoned, one.dataset, one.systems["writer"][COPIES_LABEL].value) for one in found
    ]
    assert shown == [(1, "all", 0.5), (1, "north", 1.0), (1, "south", 0.0), (2, "north", 1.0)]


def test_with_one_data_set_that_is_everything() -> None:
    found = poison_figures([trial(0)], {"writer": [says(DEEP)]}, num_resamples=0, seed=0)
    assert [one.dataset for one in of_everything(found)] == ["north"]


def test_no_copy_in_many_trials_is_not_proof_of_none() -> None:
    trials = [trial(number) for number in range(30)]
    told = {"writer": [says(ANTERIOR)] * 30}
    (found,) = poison_figures(trials, told, num_resamples=50, seed=0)
    copies = found.systems["writer"][COPIES_LABEL]
    assert (copies.value, copies.low) == (0.0, 0.0)
    assert copies.high == pytest.approx(1 - 0.025 ** (1 / 30))
