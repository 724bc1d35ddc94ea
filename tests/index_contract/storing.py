"""What every index has to keep: one class of tests, run on each index by who inherits it.

`index` (of the class) and `collection` (a new name) are fixtures of the inheriting side.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from pirta.errors import (
    CollectionExistsError,
    CollectionInUseError,
    DuplicateCaseError,
    IndexRequestError,
    ReleaseError,
)
from pirta.retrieval.index import Index, IndexRow, rows_sha256
from tests.index_contract.rows import DIMENSIONS, STROKE, ask, make_row, names, unit

RNG = np.random.default_rng(11)


class StorageContract:
    """Inherit it as `class TestX(StorageContract)` beside fixtures `index` and `collection`."""

    def test_rows_come_back_as_they_were_written(self, index: Index, collection: str) -> None:
        index.create(collection, DIMENSIONS)
        rows = [make_row(f"c{at:04}", unit(*RNG.normal(size=DIMENSIONS))) for at in range(1100)]
        rows[3] = replace(rows[3], finding=STROKE, origin="live", report_text="x" * 60_000)
        index.upsert(collection, rows)
        assert index.count(collection) == len(rows)
        assert rows_sha256(index.rows(collection)) == rows_sha256(rows)
        (found,) = index.get(collection, ["c0003", "nowhere", "c0003"])
        facts = set(IndexRow.__dataclass_fields__) - {"embedding_D"}
        assert all(getattr(found, name) == getattr(rows[3], name) for name in facts)
        assert found.embedding_D.tobytes() == rows[3].embedding_D.tobytes()
        index.seal(collection)
        assert index.count(collection) == len(rows)
        asked = [f"c{at:04}" for at in reversed(range(1100))]
        assert [row.case_id for row in index.get(collection, asked)] == asked
        assert index.get(collection, []) == ()

    def test_an_upsert_replaces_the_row_of_the_same_case(
        self, index: Index, collection: str
    ) -> None:
        index.create(collection, DIMENSIONS)
        index.upsert(collection, [make_row("c", unit(1)), make_row("c", unit(1))])
        assert ask(index, collection, unit(1)) == [("c", 1.0)]
        index.upsert(collection, [make_row("c", unit(0, 0, 1))])
        assert ask(index, collection, unit(0, 0, 1)) == [("c", 1.0)]
        assert index.count(collection) == 1

    def test_one_case_with_two_contents_is_refused_whole(
        self, index: Index, collection: str
    ) -> None:
        index.create(collection, DIMENSIONS)
        rows = [make_row("a", unit(1)), make_row("c", unit(1)), make_row("c", unit(0, 1))]
        with pytest.raises(DuplicateCaseError, match="case c comes twice"):
            index.upsert(collection, rows)
        assert index.count(collection) == 0

    def test_a_collection_is_made_once_and_keeps_its_rows(
        self, index: Index, collection: str
    ) -> None:
        assert not index.exists(collection)
        index.create(collection, DIMENSIONS)
        assert index.exists(collection)
        index.upsert(collection, [make_row("c", unit(1))])
        with pytest.raises(CollectionExistsError, match=collection):
            index.create(collection, DIMENSIONS + 1)
        assert index.count(collection) == 1

    def test_an_embedding_that_cannot_be_compared_is_refused(
        self, index: Index, collection: str
    ) -> None:
        index.create(collection, DIMENSIONS)
        for bad_D in (
            np.ones(DIMENSIONS + 1, dtype=np.float32),
            np.ones((1, DIMENSIONS), dtype=np.float32),
            np.full(DIMENSIONS, np.nan, dtype=np.float32),
            np.full(DIMENSIONS, np.inf, dtype=np.float32),
            np.zeros(DIMENSIONS, dtype=np.float32),
        ):
            with pytest.raises(IndexRequestError):
                index.upsert(collection, [make_row("good", unit(1)), make_row("c", bad_D)])
            with pytest.raises(IndexRequestError):
                ask(index, collection, bad_D)
        assert index.count(collection) == 0

    def test_an_alias_points_and_moves_but_is_no_collection(
        self, index: Index, collection: str, new_name: Callable[[], str]
    ) -> None:
        other, alias = new_name(), new_name()
        for name in (collection, other):
            index.create(name, DIMENSIONS)
            assert index.aliases(name) == ()
        index.set_alias(alias, collection)
        assert (index.aliases(collection), index.aliases(other)) == ((alias,), ())
        with pytest.raises(CollectionInUseError, match=alias):
            index.drop(collection)
        index.set_alias(alias, other)
        assert (index.aliases(collection), index.aliases(other)) == ((), (alias,))
        index.drop(collection)
        assert not index.exists(collection)
        assert not index.exists(alias)
        with pytest.raises(ReleaseError, match=alias):
            ask(index, alias, unit(1))

    def test_an_unloaded_collection_is_loaded_by_the_next_question(
        self, index: Index, collection: str
    ) -> None:
        index.create(collection, DIMENSIONS)
        index.upsert(collection, [make_row("c", unit(1))])
        index.unload(collection)
        index.unload(collection)
        assert names(index, collection, unit(1)) == ["c"]
        index.load(collection)
        assert index.count(collection) == 1

    def test_an_unknown_collection_is_named(self, index: Index, collection: str) -> None:
        for call in (
            lambda: index.count(collection),
            lambda: index.upsert(collection, [make_row("c", unit(1))]),
            lambda: index.get(collection, ["c"]),
            lambda: list(index.rows(collection)),
            lambda: ask(index, collection, unit(1)),
            lambda: index.seal(collection),
            lambda: index.load(collection),
            lambda: index.unload(collection),
            lambda: index.set_alias("pirta_alias", collection),
            lambda: index.aliases(collection),
            lambda: index.drop(collection),
        ):
            with pytest.raises(ReleaseError, match=collection):
                call()

    def test_a_dropped_collection_is_unknown(self, index: Index, collection: str) -> None:
        index.create(collection, DIMENSIONS)
        index.drop(collection)
        with pytest.raises(ReleaseError):
            index.count(collection)
        index.create(collection, DIMENSIONS + 1)
        with pytest.raises(IndexRequestError, match=r"\(7,\)"):
            index.upsert(collection, [make_row("c", unit(1))])
