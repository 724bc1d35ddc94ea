"""The end of a release: in-flight requests hold it, and a collection in use stays."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from pirta.errors import CollectionInUseError, ReleaseStateError, UnavailableError
from pirta.pipelines.activation import ALIAS, activate_release, roll_back
from pirta.pipelines.retirement import drop_release, retire_release
from pirta.releases.store import ReleaseStore
from pirta.retrieval.exact import ExactIndex
from pirta.settings import ReleasesSettings, Settings
from tests.unit.pipelines.memory_index import MemoryIndex
from tests.unit.pipelines.release_examples import ACTOR, add_staged, make_release, open_store


@pytest.fixture
def releases(tmp_path: Path) -> Iterator[ReleaseStore]:
    store = open_store(tmp_path)
    yield store
    store.close()


@pytest.fixture
def index() -> ExactIndex:
    found = ExactIndex()
    for name in ("cases_a", "cases_b"):
        found.create(name, 4)
    return found


def _settings(drain_timeout_s: float = 20.0) -> Settings:
    return Settings(releases=ReleasesSettings(drain_timeout_s=drain_timeout_s))


def _switch(release_id: str, releases: ReleaseStore, index: ExactIndex) -> str:
    return activate_release(
        release_id,
        releases=releases,
        index=index,
        settings=Settings(),
        expected_version=None,
        actor=ACTOR,
    ).alias_problem


def test_the_alias_follows_the_switch_and_the_way_back(
    releases: ReleaseStore, index: ExactIndex
) -> None:
    first = add_staged(releases, make_release("cases_a"))
    second = add_staged(releases, make_release("cases_b"))
    assert _switch(first, releases, index) == ""
    assert index.aliases("cases_a") == (ALIAS,)
    _switch(second, releases, index)
    assert (index.aliases("cases_a"), index.aliases("cases_b")) == ((), (ALIAS,))
    back = roll_back(
        releases=releases, index=index, settings=Settings(), expected_version=2, actor=ACTOR
    )
    assert (back.activation.release_id, back.activation.version) == (first, 3)
    assert index.aliases("cases_a") == (ALIAS,)


def test_an_index_that_does_not_answer_holds_up_no_switch(
    releases: ReleaseStore, index: ExactIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    release_id = add_staged(releases, make_release("cases_a"))

    def away(*_given: object) -> None:
        raise UnavailableError("The index does not answer.", remedy="Start it.")

    monkeypatch.setattr(index, "set_alias", away)
    assert "does not answer" in _switch(release_id, releases, index)
    active = releases.active()
    assert active is not None
    assert active.release_id == release_id


def test_a_release_retires_when_its_last_request_has_ended(
    releases: ReleaseStore, index: ExactIndex
) -> None:
    first = add_staged(releases, make_release("cases_a"))
    second = add_staged(releases, make_release("cases_b"))
    _switch(first, releases, index)
    for name in ("one", "two"):
        assert releases.begin_request(name, ttl_s=60).release.release_id == first
    _switch(second, releases, index)
    with pytest.raises(ReleaseStateError, match="active"):
        retire_release(second, releases=releases, index=index, settings=_settings(), actor=ACTOR)
    with pytest.raises(UnavailableError, match=r"2 request\(s\) .* goes on draining"):
        retire_release(first, releases=releases, index=index, settings=_settings(0.1), actor=ACTOR)
    assert releases.get(first).state == "draining"
    releases.end_request("one")
    told: list[tuple[int, int]] = []
    last = threading.Timer(0.3, lambda: releases.end_request("two"))
    last.start()
    retire_release(
        first,
        releases=releases,
        index=index,
        settings=_settings(),
        actor=ACTOR,
        on_progress=lambda left, most: told.append((left, most)),
    )
    last.join()
    assert told[0] == (1, 1)
    assert releases.get(first).state == "retired"
    retire_release(first, releases=releases, index=index, settings=_settings(), actor=ACTOR)


def test_a_collection_is_dropped_only_when_nobody_needs_it(
    releases: ReleaseStore, index: ExactIndex
) -> None:
    first = add_staged(releases, make_release("cases_a"))
    other_writer = add_staged(releases, make_release("cases_a", writer_adapter_sha256="9" * 64))
    _switch(first, releases, index)

    def drop(release_id: str) -> None:
        drop_release(release_id, releases=releases, index=index, actor=ACTOR)

    with pytest.raises(ReleaseStateError, match="active"):
        drop(first)
    retire_release(other_writer, releases=releases, index=index, settings=_settings(), actor=ACTOR)
    with pytest.raises(CollectionInUseError, match=ALIAS):
        drop(other_writer)
    _switch(add_staged(releases, make_release("cases_b")), releases, index)
    retire_release(first, releases=releases, index=index, settings=_settings(), actor=ACTOR)
    with pytest.raises(CollectionInUseError, match=first):
        drop(other_writer)
    assert index.exists("cases_a")


def test_a_drop_that_was_killed_half_way_is_finished_by_the_next(
    releases: ReleaseStore, index: ExactIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    release_id = add_staged(releases, make_release("cases_a"))
    releases.pin(release_id, actor=ACTOR)
    retire_release(release_id, releases=releases, index=index, settings=_settings(), actor=ACTOR)
    with pytest.raises(ReleaseStateError, match="pinned"):
        drop_release(release_id, releases=releases, index=index, actor=ACTOR)
    releases.unpin(release_id, actor=ACTOR)
    with monkeypatch.context() as patch:

        def die(_collection: str) -> None:
            raise KeyboardInterrupt

        patch.setattr(index, "drop", die)
        with pytest.raises(KeyboardInterrupt):
            drop_release(release_id, releases=releases, index=index, actor=ACTOR)
    assert releases.get(release_id).state == "dropped"
    assert index.exists("cases_a")
    drop_release(release_id, releases=releases, index=index, actor=ACTOR)
    assert not index.exists("cases_a")
    drop_release(release_id, releases=releases, index=index, actor=ACTOR)


def test_the_collection_of_a_dropped_release_stays_where_another_was_built_on_it(
    releases: ReleaseStore, index: ExactIndex
) -> None:
    release_id = add_staged(releases, make_release("cases_a"))
    retire_release(release_id, releases=releases, index=index, settings=_settings(), actor=ACTOR)
    releases.mark_dropped(release_id, actor=ACTOR)
    releases.add(make_release("cases_a", commit="later"), actor=ACTOR)
    drop_release(release_id, releases=releases, index=index, actor=ACTOR)
    assert index.exists("cases_a")


def test_a_retired_releases_collection_leaves_memory_where_no_other_release_needs_it(
    releases: ReleaseStore,
) -> None:
    index = MemoryIndex()
    for name in ("cases_a", "cases_b"):
        index.create(name, 4)
        index.load(name)
    mine = add_staged(releases, make_release("cases_a"))
    its_twin = add_staged(releases, make_release("cases_a", writer_adapter_sha256="9" * 64))
    add_staged(releases, make_release("cases_b"))
    assert _retire(mine, releases, index) == ""
    assert index.loaded == {"cases_a", "cases_b"}
    index.is_away = True
    assert "may still hold cases_a" in _retire(its_twin, releases, index)
    assert releases.get(its_twin).state == "retired"
    index.is_away = False
    assert _retire(its_twin, releases, index) == ""
    assert index.loaded == {"cases_b"}


def _retire(release_id: str, releases: ReleaseStore, index: MemoryIndex) -> str:
    return retire_release(
        release_id, releases=releases, index=index, settings=_settings(), actor=ACTOR
    )
