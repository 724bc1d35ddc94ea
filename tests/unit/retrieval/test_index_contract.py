"""The contract of every index, on the exact one and on milvus-lite; tests/ray holds Milvus to it.

Beside it: the choice of an answer against a search through every possible one, and the hash of
an index.
"""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pirta.contracts.access import SearchPolicy
from pirta.contracts.encoding import SearchRequest
from pirta.retrieval.exact import ExactIndex
from pirta.retrieval.index import Index, patient_key, row_sha256, rows_sha256
from pirta.retrieval.milvus import MilvusIndex
from pirta.retrieval.selection import Candidate, nearest
from tests.index_contract.rows import STROKE, make_row, unit
from tests.index_contract.searching import SearchContract
from tests.index_contract.storing import StorageContract


class TestExactIndex(SearchContract, StorageContract):
    @pytest.fixture(scope="class")
    @classmethod
    def index(cls) -> Index:
        return ExactIndex()


class TestMilvusLite(SearchContract, StorageContract):
    @pytest.fixture(scope="class")
    @classmethod
    def index(cls, milvus: MilvusIndex) -> Index:
        return milvus


CANDIDATES = st.lists(
    st.tuples(st.sampled_from([0.1, 0.2, 0.3, 0.4]), st.integers(0, 3)), min_size=1, max_size=8
)


@settings(max_examples=200, deadline=None)
@given(facts=CANDIDATES, top_k=st.integers(1, 5), min_patients=st.integers(1, 5))
def test_the_answer_is_the_first_of_all_possible_answers(
    facts: list[tuple[float, int]], top_k: int, min_patients: int
) -> None:
    candidates = [
        Candidate(make_row(f"c{at}", unit(1), patient_id=str(patient)), similarity)
        for at, (similarity, patient) in enumerate(facts)
    ]
    wanted = min(min_patients, len({patient for _, patient in facts}), top_k)
    ranked = sorted(candidates, key=lambda one: (-one.similarity, one.row.case_id))
    possible = [
        chosen
        for size in range(1, top_k + 1)
        for chosen in itertools.combinations(ranked, size)
        if len({one.row.patient_key for one in chosen}) >= wanted
    ]
    # The largest answer, and of those the one whose similarities come first in the ranking.
    size = max(map(len, possible))
    best = next(chosen for chosen in possible if len(chosen) == size)
    policy = SearchPolicy(min_patients=min(min_patients, top_k))
    assert nearest(candidates, SearchRequest("r", "c", unit(1), top_k, policy)) == list(best)


def test_the_hash_of_an_index_depends_on_its_content_and_not_on_the_order() -> None:
    rows = [make_row("a", unit(1)), make_row("b", unit(0, 1))]
    known = rows_sha256(rows)
    assert known == rows_sha256(iter(rows[::-1]))
    assert known != rows_sha256([rows[0], make_row("b", unit(0, 1, 1e-3))])
    assert known != rows_sha256([rows[0], make_row("b", unit(0, 1), finding=STROKE)])
    assert known != rows_sha256([rows[0], replace(rows[1], report_text="other")])
    assert known != rows_sha256([rows[0], replace(rows[1], patient_key=patient_key("q"))])
    assert known != rows_sha256(rows[:1])


def test_where_and_when_a_row_was_written_is_not_its_content() -> None:
    row = make_row("a", unit(1))
    later = replace(row, origin="live", release_id="rel-1", added_on="2027-01-01")
    assert row_sha256(row) == row_sha256(later)
