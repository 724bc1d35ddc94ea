"""What every index has to do, asked of the exact one and of Milvus alike."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pirta.contracts.encoding import SearchRequest
from pirta.contracts.finding import (
    Finding,
    InfarctType,
    Label,
    LesionClass,
    Territory,
    finding_sentence,
    label_of,
)
from pirta.errors import IndexRequestError, ReleaseError
from pirta.retrieval.exact import ExactIndex
from pirta.retrieval.index import Index, IndexRow, rows_sha256
from pirta.retrieval.milvus import MilvusIndex

DIMENSIONS = 6
STROKE = Finding(
    lesion_class=LesionClass.MILD,
    infarct_type=InfarctType.SMALL_LACUNE,
    territory=Territory.DEEP_GRAY,
    multifocal=True,
)


def unit(*values: float) -> np.ndarray:
    row_D = np.zeros(DIMENSIONS, dtype=np.float32)
    row_D[: len(values)] = values
    return (row_D / np.linalg.norm(row_D)).astype(np.float32)


def make_row(
    case_id: str,
    embedding_D: np.ndarray,
    *,
    patient_id: str = "p",
    finding: Finding | None = None,
) -> IndexRow:
    return IndexRow(
        case_id=case_id,
        patient_id=patient_id,
        site="site-ä",
        label=label_of(finding),
        finding=finding,
        findings_text=finding_sentence(finding),
        embedding_D=embedding_D,
    )


def ask(
    index: Index, collection: str, embedding_D: np.ndarray, *, top_k: int = 5, without: str | None
) -> list[tuple[str, float]]:
    request = SearchRequest(collection, embedding_D, top_k, without)
    return [(case.case_id, case.similarity) for case in index.search(request)]


def test_the_nearest_case_comes_first_with_its_cosine(index: Index, collection: str) -> None:
    index.create(collection, DIMENSIONS)
    index.upsert(
        collection,
        [make_row("far", unit(-1)), make_row("near", unit(1)), make_row("half", unit(1, 1))],
    )
    found = ask(index, collection, unit(1), without=None)
    assert [name for name, _ in found] == ["near", "half", "far"]
    assert [value for _, value in found] == pytest.approx([1, 0.5**0.5, -1], abs=1e-5)


def test_a_case_comes_back_with_all_that_is_known_of_it(index: Index, collection: str) -> None:
    index.create(collection, DIMENSIONS)
    index.upsert(
        collection,
        [make_row("stroke", unit(1), finding=STROKE), make_row("normal", unit(0, 1))],
    )
    stroke, normal = index.search(SearchRequest(collection, unit(1, 0.5), 2))
    assert (stroke.finding, stroke.label, stroke.site) == (STROKE, Label.DEEP_GRAY, "site-ä")
    assert stroke.findings_text == STROKE.sentence()
    assert (normal.finding, normal.label) == (None, Label.NORMAL)


def test_top_k_limits_and_a_small_index_gives_what_it_has(index: Index, collection: str) -> None:
    index.create(collection, DIMENSIONS)
    index.upsert(collection, [make_row(f"c{at}", unit(1, at)) for at in range(4)])
    assert len(ask(index, collection, unit(1), top_k=3, without=None)) == 3
    assert len(ask(index, collection, unit(1), top_k=9, without=None)) == 4


def test_an_empty_collection_finds_nobody(index: Index, collection: str) -> None:
    index.create(collection, DIMENSIONS)
    assert index.count(collection) == 0
    assert ask(index, collection, unit(1), without=None) == []


def test_a_patients_own_cases_never_come_back(index: Index, collection: str) -> None:
    index.create(collection, DIMENSIONS)
    index.upsert(
        collection,
        [
            make_row("own-1", unit(1), patient_id="me"),
            make_row("own-2", unit(1, 0.1), patient_id="me"),
            make_row("other", unit(-1), patient_id="you"),
        ],
    )
    assert [name for name, _ in ask(index, collection, unit(1), top_k=2, without="me")] == ["other"]


ODD_IDS = ['"', "'", "\\", 'x" or "1" == "1', "{x}", "é💥", "a\nb", "\x00", "%", " ", "p" * 300]


def test_odd_patient_ids_are_excluded_and_nothing_else_is(index: Index, collection: str) -> None:
    index.create(collection, DIMENSIONS)
    rows = [make_row(f"{at:02}", unit(1), patient_id=odd) for at, odd in enumerate(ODD_IDS)]
    index.upsert(collection, rows)
    for row in rows:
        found = ask(index, collection, unit(1), top_k=99, without=row.patient_id)
        assert {name for name, _ in found} == {other.case_id for other in rows} - {row.case_id}


def test_an_upsert_replaces_the_row_of_the_same_case(index: Index, collection: str) -> None:
    index.create(collection, DIMENSIONS)
    index.upsert(collection, [make_row("c", unit(1)), make_row("c", unit(0, 1))])
    assert ask(index, collection, unit(0, 1), without=None) == [("c", pytest.approx(1))]
    index.upsert(collection, [make_row("c", unit(0, 0, 1))])
    assert ask(index, collection, unit(0, 0, 1), without=None) == [("c", pytest.approx(1))]
    assert index.count(collection) == 1


def test_creating_a_collection_again_empties_it(index: Index, collection: str) -> None:
    index.create(collection, DIMENSIONS)
    index.upsert(collection, [make_row("c", unit(1))])
    index.create(collection, DIMENSIONS + 1)
    assert index.count(collection) == 0
    with pytest.raises(IndexRequestError, match=r"\(7,\)"):
        index.upsert(collection, [make_row("c", unit(1))])


BAD_EMBEDDINGS = {
    "too long": np.ones(DIMENSIONS + 1, dtype=np.float32),
    "two axes": np.ones((1, DIMENSIONS), dtype=np.float32),
    "nan": np.full(DIMENSIONS, np.nan, dtype=np.float32),
    "infinite": np.full(DIMENSIONS, np.inf, dtype=np.float32),
    "zero": np.zeros(DIMENSIONS, dtype=np.float32),
}


def test_an_embedding_that_cannot_be_compared_is_refused(index: Index, collection: str) -> None:
    index.create(collection, DIMENSIONS)
    for bad_D in BAD_EMBEDDINGS.values():
        with pytest.raises(IndexRequestError):
            index.upsert(collection, [make_row("c", bad_D)])
        with pytest.raises(IndexRequestError):
            index.search(SearchRequest(collection, bad_D, 1))
    assert index.count(collection) == 0


def test_an_unknown_collection_is_named(index: Index, collection: str) -> None:
    for call in (
        lambda: index.count(collection),
        lambda: index.upsert(collection, [make_row("c", unit(1))]),
        lambda: index.search(SearchRequest(collection, unit(1), 1)),
        lambda: index.drop(collection),
    ):
        with pytest.raises(ReleaseError, match=collection):
            call()


def test_a_dropped_collection_is_unknown(index: Index, collection: str) -> None:
    index.create(collection, DIMENSIONS)
    index.drop(collection)
    with pytest.raises(ReleaseError):
        index.count(collection)


RNG = np.random.default_rng(7)
POOL = [
    make_row(f"c{at:02}", unit(*RNG.normal(size=DIMENSIONS)), patient_id=f"p{at % 7}")
    for at in range(60)
]
PATIENT_OF = {row.case_id: row.patient_id for row in POOL}


@pytest.fixture(scope="module")
def pools(milvus: MilvusIndex) -> tuple[ExactIndex, MilvusIndex]:
    exact = ExactIndex()
    for index in (exact, milvus):
        index.create("pool", DIMENSIONS)
        index.upsert("pool", POOL)
    return exact, milvus


@settings(max_examples=60, deadline=None)
@given(
    query=st.lists(st.floats(-1, 1, width=32), min_size=DIMENSIONS, max_size=DIMENSIONS).filter(
        lambda values: sum(value * value for value in values) > 1e-6
    ),
    top_k=st.integers(1, 70),
    without=st.none() | st.sampled_from([f"p{at}" for at in range(9)]) | st.text(),
)
def test_milvus_finds_what_the_exact_index_finds(
    pools: tuple[ExactIndex, MilvusIndex], query: list[float], top_k: int, without: str | None
) -> None:
    exact, milvus = pools
    expected = ask(exact, "pool", unit(*query), top_k=top_k, without=without)
    found = ask(milvus, "pool", unit(*query), top_k=top_k, without=without)
    assert [v for _, v in found] == pytest.approx([v for _, v in expected], abs=1e-5)
    truth = dict(ask(exact, "pool", unit(*query), top_k=len(POOL), without=without))
    assert all(truth[name] == pytest.approx(value, abs=1e-5) for name, value in found)
    assert len({name for name, _ in found}) == len(found)
    assert without not in {PATIENT_OF[name] for name, _ in found}


def test_the_hash_of_an_index_depends_on_its_content_and_not_on_the_order() -> None:
    rows = [make_row("a", unit(1)), make_row("b", unit(0, 1))]
    assert rows_sha256(rows) == rows_sha256(rows[::-1])
    assert rows_sha256(rows) != rows_sha256([rows[0], make_row("b", unit(0, 1, 1e-3))])
    assert rows_sha256(rows) != rows_sha256([rows[0], make_row("b", unit(0, 1), finding=STROKE)])
    assert rows_sha256(rows) != rows_sha256(rows[:1])
