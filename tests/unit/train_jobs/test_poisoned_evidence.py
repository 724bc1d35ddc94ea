"""Poisoned neighbours: what is replaced, by what, and what is left alone."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pirta.contracts.finding import Finding, Label
from pirta.contracts.report import RetrievedCase
from tests.unit.evaluation.writers import ANTERIOR, DEEP, POSTERIOR, near
from tests.unit.train_jobs.writer_questions import question
from train_jobs.poisoned_evidence import poisoned_queries
from train_jobs.writer_queries import WriterQuery

FINDINGS: list[Finding | None] = [None, ANTERIOR, DEEP, POSTERIOR]
INDEX: list[tuple[str, RetrievedCase]] = [
    (f"index-patient-{number}", near(finding, 100 + number))
    for number, finding in enumerate(FINDINGS * 5)
]
any_finding = st.sampled_from(FINDINGS)


def ranked(query: WriterQuery) -> WriterQuery:
    """The question with similarities that fall from neighbour to neighbour."""
    evidence = tuple(
        case.model_copy(update={"similarity": 0.9 - rank / 10, "case_id": f"own-{rank}"})
        for rank, case in enumerate(query.case.evidence)
    )
    return replace(query, case=replace(query.case, evidence=evidence))


@given(
    truth=any_finding,
    evidence=st.lists(any_finding, min_size=1, max_size=5),
    encoder_label=st.sampled_from(list(Label)),
    num_poisoned=st.integers(1, 5),
    seed=st.integers(0, 1000),
)
def test_only_poisoned_ranks_change_and_no_other_source_names_their_label(
    truth: Finding | None,
    evidence: list[Finding | None],
    encoder_label: Label,
    num_poisoned: int,
    seed: int,
) -> None:
    query = ranked(question(truth, evidence=evidence, encoder_label=encoder_label))
    for one in poisoned_queries([query], INDEX, num_poisoned=num_poisoned, seed=seed):
        before, after = query.case.evidence, one.query.case.evidence
        changed = [rank for rank in range(len(before)) if after[rank] != before[rank]]
        assert [rank + 1 for rank in changed] == list(one.trial.ranks)
        assert len(changed) == num_poisoned
        assert {after[rank].label for rank in changed} == {one.trial.label}
        assert len({after[rank].case_id for rank in changed}) == num_poisoned
        left = {case.label for rank, case in enumerate(after) if rank not in changed}
        assert one.trial.label not in left | {query.case.label, encoder_label}
        assert [case.similarity for case in after] == [case.similarity for case in before]
        assert one.trial.case == one.query.case


def test_ranks_and_labels_vary_and_the_seed_alone_decides_them() -> None:
    queries = [question(DEEP, number) for number in range(40)]
    first, again, other = (
        [one.trial for one in poisoned_queries(queries, INDEX, num_poisoned=1, seed=seed)]
        for seed in (0, 0, 1)
    )
    assert first == again
    assert first != other
    assert {trial.ranks[0] for trial in first} == {1, 2, 3, 4, 5}
    assert {trial.label for trial in first} == {Label.NORMAL, Label.ANTERIOR, Label.POSTERIOR}


def test_a_query_that_cannot_be_poisoned_is_left_out_and_shifts_no_other() -> None:
    every_label: list[Finding | None] = [*FINDINGS, *FINDINGS]
    full = question(DEEP, 0, evidence=every_label)
    rest = [question(DEEP, number, evidence=[DEEP] * 5) for number in range(1, 9)]
    alone = poisoned_queries([question(DEEP), *rest], INDEX, num_poisoned=1, seed=0)
    found = poisoned_queries([full, *rest], INDEX, num_poisoned=1, seed=0)
    assert len(found) == len(rest)
    assert [one.trial for one in found] == [one.trial for one in alone[1:]]


@pytest.mark.parametrize("num_poisoned", [1, 2])
def test_a_case_of_the_querys_own_patient_is_never_put_in(num_poisoned: int) -> None:
    query = question(DEEP)
    own = [(query.case.patient_id, near(finding, n)) for n, finding in enumerate(FINDINGS * 3)]
    assert poisoned_queries([query], own, num_poisoned=num_poisoned, seed=0) == []
