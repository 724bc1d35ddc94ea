"""What every index has to answer: one class of tests, run on each index by who inherits it.

`index` (of the class) and `collection` (a new name) are fixtures of the inheriting side. Answers
under random policies are held against the exact index, to the last bit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pirta.contracts.access import SearchPolicy
from pirta.contracts.encoding import SearchRequest
from pirta.contracts.finding import (
    Label,
)
from pirta.contracts.release import IndexKind
from pirta.contracts.report import RetrievedCase
from pirta.errors import (
    IndexRequestError,
    NoNeighboursError,
)
from pirta.retrieval.exact import ExactIndex
from pirta.retrieval.index import Index
from tests.index_contract.rows import DIMENSIONS, STROKE, ask, make_row, names, unit

ODD_TEXTS = ['"', "'", "\\", 'x" or "1" == "1', '"] or site_key != "', "{x}", "é💥", "a\nb", "\x00",
           "%", " ", "", "p" * 250]  # fmt: skip

RNG = np.random.default_rng(7)
SITES = ["a", 'b"', "ü\\"]
# Few directions and many equal ones: ties at every rank.
POOL = [
    make_row(
        f"c{at:02}",
        unit(*RNG.integers(-1, 2, size=DIMENSIONS - 1), 1),
        patient_id=f"p{at % 7}",
        site=SITES[at % 3],
    )
    for at in range(60)
]
POLICIES = st.builds(
    SearchPolicy,
    sites=st.none() | st.frozensets(st.sampled_from([*SITES, "elsewhere"])),
    exclude_patient_ids=st.frozensets(
        st.sampled_from([f"p{at}" for at in range(9)]) | st.text(), max_size=3
    ),
    withdrawn=st.frozensets(
        st.sampled_from([row.case_id for row in POOL]) | st.text(), max_size=70
    ),
    min_similarity=st.sampled_from([-1.0, 1.0]) | st.floats(-1, 1),
    min_patients=st.integers(1, 8),
)
QUERIES = st.lists(st.floats(-1, 1, width=32), min_size=DIMENSIONS, max_size=DIMENSIONS).filter(
    lambda values: sum(value * value for value in values) > 1e-6
)


def answer_or_refusal(index: Index, request: SearchRequest) -> tuple[RetrievedCase, ...] | str:
    """Return an answer, or the text of the refusal."""
    try:
        return index.search(request)
    except (NoNeighboursError, IndexRequestError) as error:
        return str(error)


class SearchContract:
    """Inherit it as `class TestX(SearchContract)` beside fixtures `index` and `collection`."""

    @pytest.fixture(scope="class")
    @classmethod
    def pools(cls, index: Index, new_name: Callable[[], str]) -> dict[IndexKind, str]:
        """A collection of the pool's rows for each kind of index."""
        collections: dict[IndexKind, str] = {"FLAT": new_name(), "HNSW": new_name()}
        for kind, collection in collections.items():
            index.create(collection, DIMENSIONS, kind=kind)
            index.upsert(collection, POOL)
        return collections

    @pytest.mark.parametrize("kind", ["FLAT", "HNSW"])
    @settings(
        max_examples=40,
        deadline=None,
        suppress_health_check=[
            HealthCheck.function_scoped_fixture,
            HealthCheck.differing_executors,
        ],
    )
    @given(query=QUERIES, top_k=st.integers(1, 70), policy=POLICIES)
    def test_every_answer_is_the_exact_one_under_any_policy(
        self,
        index: Index,
        pools: dict[IndexKind, str],
        kind: IndexKind,
        query: list[float],
        top_k: int,
        policy: SearchPolicy,
    ) -> None:
        oracle = ExactIndex()
        oracle.create(pools[kind], DIMENSIONS)
        oracle.upsert(pools[kind], POOL)
        request = SearchRequest("rel-000000000000", pools[kind], unit(*query), top_k, policy)
        assert answer_or_refusal(index, request) == answer_or_refusal(oracle, request)

    def test_the_nearest_case_comes_first_with_its_cosine(
        self, index: Index, collection: str
    ) -> None:
        index.create(collection, DIMENSIONS)
        index.upsert(
            collection,
            [make_row("far", unit(-1)), make_row("near", unit(1)), make_row("half", unit(1, 1))],
        )
        found = ask(index, collection, unit(1))
        assert [name for name, _ in found] == ["near", "half", "far"]
        assert [value for _, value in found] == pytest.approx([1, 0.5**0.5, -1], abs=1e-7)

    def test_a_case_comes_back_with_what_the_report_needs(
        self, index: Index, collection: str
    ) -> None:
        index.create(collection, DIMENSIONS)
        index.upsert(
            collection,
            [make_row("stroke", unit(1), finding=STROKE), make_row("normal", unit(0, 1))],
        )
        stroke, normal = index.search(SearchRequest("rel-0", collection, unit(1, 0.5), 2))
        assert (stroke.finding, stroke.label, stroke.site) == (STROKE, Label.DEEP_GRAY, "site-ä")
        assert stroke.findings_text == STROKE.sentence()
        assert (normal.finding, normal.label) == (None, Label.NORMAL)

    def test_top_k_limits_and_a_small_index_gives_what_it_has(
        self, index: Index, collection: str
    ) -> None:
        index.create(collection, DIMENSIONS)
        assert (index.count(collection), ask(index, collection, unit(1))) == (0, [])
        index.upsert(collection, [make_row(f"c{at}", unit(1, at)) for at in range(4)])
        assert len(ask(index, collection, unit(1), top_k=3)) == 3
        assert len(ask(index, collection, unit(1), top_k=9)) == 4

    def test_odd_ids_and_sites_are_matched_to_the_letter(
        self, index: Index, collection: str
    ) -> None:
        index.create(collection, DIMENSIONS)
        rows = [make_row(odd, unit(1), patient_id=odd, site=odd) for odd in ODD_TEXTS]
        index.upsert(collection, rows)
        everyone = set(ODD_TEXTS)
        for odd in ODD_TEXTS:
            for policy, expected in {
                SearchPolicy(exclude_patient_ids=frozenset({odd})): everyone - {odd},
                SearchPolicy(withdrawn=frozenset({odd})): everyone - {odd},
                SearchPolicy(sites=frozenset({odd})): {odd},
            }.items():
                assert set(names(index, collection, unit(1), policy, top_k=99)) == expected
            assert [row.case_id for row in index.get(collection, [odd])] == [odd]

    def test_equal_similarities_are_ordered_by_case_id(self, index: Index, collection: str) -> None:
        index.create(collection, DIMENSIONS)
        order = RNG.permutation(300)
        index.upsert(collection, [make_row(f"t{at:03}", unit(1, 1, 1)) for at in order])
        index.upsert(collection, [make_row("best", unit(1))])
        expected = ["best", "t000", "t001", "t002"]
        assert names(index, collection, unit(1), top_k=4) == expected

    def test_ten_thousand_withdrawn_cases_stay_away(self, index: Index, collection: str) -> None:
        index.create(collection, DIMENSIONS)
        rows = [make_row(f"c{at:03}", unit(1, at / 1000)) for at in range(100)]
        index.upsert(collection, rows)
        elsewhere = [f"gone{at}" for at in range(10_000)]
        nearest_gone = [row.case_id for row in rows[:90]]
        policy = SearchPolicy(withdrawn=frozenset(elsewhere))
        assert names(index, collection, unit(1), policy, top_k=2) == ["c000", "c001"]
        policy = SearchPolicy(withdrawn=frozenset(elsewhere + nearest_gone))
        assert names(index, collection, unit(1), policy, top_k=2) == ["c090", "c091"]

    def test_a_case_below_the_cut_off_is_no_evidence(self, index: Index, collection: str) -> None:
        index.create(collection, DIMENSIONS)
        index.upsert(collection, [make_row("a", unit(1)), make_row("b", unit(1, 1))])
        assert names(index, collection, unit(1), SearchPolicy(min_similarity=1)) == ["a"]
        assert names(index, collection, unit(1), SearchPolicy(min_similarity=0.7)) == ["a", "b"]
        assert names(index, collection, unit(0, 0, 1), SearchPolicy(min_similarity=0.1)) == []

    def test_nearer_duplicates_of_a_patient_make_room(self, index: Index, collection: str) -> None:
        index.create(collection, DIMENSIONS)
        rows = [make_row(f"same{at:02}", unit(1, at / 100)) for at in range(50)]
        rows += [make_row("far", unit(0, 1), patient_id="q")]
        rows += [make_row("farther", unit(-1), patient_id="r")]
        index.upsert(collection, rows)
        three = SearchPolicy(min_patients=3)
        assert names(index, collection, unit(1), three, top_k=4) == [
            "same00", "same01", "far", "farther",
        ]  # fmt: skip
        with pytest.raises(NoNeighboursError, match="of 3 patients"):
            ask(index, collection, unit(1), SearchPolicy(min_patients=4))
        with pytest.raises(NoNeighboursError, match="of 2 patients"):
            ask(index, collection, unit(1), replace(three, min_similarity=-0.5))
        assert ask(index, collection, unit(1), replace(three, sites=frozenset())) == []

    def test_a_request_that_no_index_can_answer_is_refused(
        self, index: Index, collection: str
    ) -> None:
        index.create(collection, DIMENSIONS)
        for top_k in (0, -1, 1001):
            with pytest.raises(IndexRequestError, match="from 1 to 1000"):
                ask(index, collection, unit(1), top_k=top_k)
        with pytest.raises(IndexRequestError, match="6 distinct patients"):
            ask(index, collection, unit(1), SearchPolicy(min_patients=6), top_k=5)
