"""Withdrawing: where the case is looked for, what that leaves in memory, and what is not known."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from pirta.errors import CaseUnknownError, UnavailableError
from pirta.pipelines.withdrawal import Withdrawal, withdraw_case
from pirta.releases.store import ReleaseStore
from tests.unit.pipelines.memory_index import MemoryIndex, row_of
from tests.unit.pipelines.release_examples import ACTOR, add_staged, make_release, open_store


@pytest.fixture
def releases(tmp_path: Path) -> Iterator[ReleaseStore]:
    """One release that is held (cases_z), and two that have retired."""
    store = open_store(tmp_path)
    for collection in ("cases_a", "cases_b"):
        release_id = add_staged(store, make_release(collection))
        store.begin_retirement(release_id, actor=ACTOR)
        store.finish_retirement(release_id)
    add_staged(store, make_release("cases_z"))
    yield store
    store.close()


@pytest.fixture
def index() -> MemoryIndex:
    """A case a collection and one in all of them; what is held is loaded."""
    found = MemoryIndex()
    for collection in ("cases_a", "cases_b", "cases_z"):
        found.create(collection, 4)
        found.upsert(collection, [row_of(f"in-{collection}"), row_of("in-all")])
    found.load("cases_z")
    return found


def _withdraw(case_id: str, releases: ReleaseStore, index: MemoryIndex | None) -> Withdrawal:
    return withdraw_case(case_id, reason="other", releases=releases, index=index, actor=ACTOR)


def test_a_case_of_a_release_that_is_held_brings_no_other_collection_into_memory(
    releases: ReleaseStore, index: MemoryIndex
) -> None:
    index.too_large = {"cases_a", "cases_b"}
    assert _withdraw("in-all", releases, index) == Withdrawal((), "")
    assert releases.withdrawn() == {"in-all"}
    assert index.loaded == {"cases_z"}


def test_what_was_loaded_for_the_look_is_let_go_again(
    releases: ReleaseStore, index: MemoryIndex
) -> None:
    _withdraw("in-cases_b", releases, index)
    assert index.loaded == {"cases_z"}
    with pytest.raises(CaseUnknownError):
        _withdraw("nowhere", releases, index)
    assert index.loaded == {"cases_z"}
    assert releases.withdrawn() == {"in-cases_b"}


def test_a_collection_that_cannot_be_asked_is_not_told_of_as_one_without_the_case(
    releases: ReleaseStore, index: MemoryIndex
) -> None:
    index.too_large = {"cases_a"}
    with pytest.raises(UnavailableError, match=r"not known.* 1 did not \(cases_a\)"):
        _withdraw("in-cases_a", releases, index)
    assert releases.withdrawn() == frozenset()
    _withdraw("in-cases_b", releases, index)  # one that answers holds it
    assert releases.withdrawn() == {"in-cases_b"}


def test_a_record_that_cannot_be_read_hides_no_case_from_a_withdrawal(
    releases: ReleaseStore, index: MemoryIndex, tmp_path: Path
) -> None:
    with closing(sqlite3.connect(tmp_path / "releases.db")) as connection, connection:
        connection.execute("UPDATE release SET content = '{}' WHERE collection <> 'cases_b'")
    for collection in ("cases_a", "cases_b", "cases_z"):
        _withdraw(f"in-{collection}", releases, index)
    assert releases.withdrawn() == {"in-cases_a", "in-cases_b", "in-cases_z"}
    assert index.loaded == {"cases_z"}


def test_an_index_that_is_away_withdraws_nothing_but_when_told_to(
    releases: ReleaseStore, index: MemoryIndex
) -> None:
    index.is_away = True
    with pytest.raises(UnavailableError, match="does not answer"):
        _withdraw("in-all", releases, index)
    assert releases.withdrawn() == frozenset()
    _withdraw("in-all", releases, None)
    assert releases.withdrawn() == {"in-all"}


def test_a_store_without_any_release_is_named_and_takes_no_withdrawal(
    tmp_path: Path, index: MemoryIndex
) -> None:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    other = open_store(folder)
    for asked in (index, None):
        with pytest.raises(CaseUnknownError, match=f"store {folder}/releases.db holds no release"):
            _withdraw("in-all", other, asked)
    assert other.withdrawn() == frozenset()
    other.close()


def test_memory_that_is_not_let_go_makes_no_failure_of_a_withdrawal(
    releases: ReleaseStore, index: MemoryIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(_collection: str) -> None:
        raise UnavailableError("The index does not answer.", remedy="Start it.")

    monkeypatch.setattr(index, "unload", away)
    done = _withdraw("in-cases_a", releases, index)
    assert "may still hold cases_a" in done.memory_problem
    assert releases.withdrawn() == {"in-cases_a"}
