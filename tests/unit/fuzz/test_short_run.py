"""The fuzzer in its short form: some hundred damaged studies; `make fuzz` runs thousands.

Every seed study stands in it undamaged as well, and has to give its known answer.
"""

from __future__ import annotations

from collections import Counter
from itertools import islice

import pytest

from fuzz.__main__ import describe
from fuzz.cases import Cases
from fuzz.pool import WorkerProcess, worker_command

SEED = 4
NUM_CASES = 100
COSTLY = ("largest-claim", "in largest-claim", "many-members")
"""Mutators whose cases take seconds; the long form has them."""


@pytest.fixture(scope="module")
def cases() -> Cases:
    """The cases of one seed, without the real studies."""
    return Cases(SEED)


def test_damaged_studies_end_in_an_error_for_people_or_a_right_answer(cases: Cases) -> None:
    chosen = (index for index in range(1000) if cases.planned(index)[1] not in COSTLY)
    with WorkerProcess(worker_command(SEED, None)) as worker:
        outcomes = list(worker.run(islice(chosen, NUM_CASES)))
    faults = [describe(one, SEED) for one in outcomes if one.outcome == "fault"]
    assert not faults, "\n".join(faults)
    counts = Counter(one.outcome for one in outcomes)
    assert min(counts["refused"], counts["clean"], counts["plain"]) > 0
    assert len({one.seed for one in outcomes}) > 20
    assert len({one.mutator for one in outcomes}) > 40


def test_a_number_stands_for_the_same_bytes_each_time(cases: Cases) -> None:
    again = Cases(SEED)
    for index in range(0, 60, 3):
        assert cases[index].study == again[index].study
        assert cases[index].mutator == again[index].mutator


def test_only_the_controls_are_left_as_they_were(cases: Cases) -> None:
    for index in range(0, 300, 7):
        case = cases[index]
        assert case.study.same_as(case.seed.study) == (case.mutator == "none")
