"""No switch, forth or back, to a release that a replica which lives does not hold."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pirta.errors import ActivationConflictError, ReleaseStateError, ReplicasNotReadyError
from pirta.pipelines.activation import ALIAS, activate_release, roll_back
from pirta.releases.store import ReleaseStore
from pirta.releases.stored import Load
from pirta.retrieval.exact import ExactIndex
from pirta.settings import Settings
from tests.unit.pipelines.release_examples import (
    ACTOR,
    add_staged,
    add_verified,
    make_release,
    open_store,
)

READY, LOADING = Load(state="ready"), Load(state="loading", message="The engine is started.")


@pytest.fixture
def releases(tmp_path: Path) -> Iterator[ReleaseStore]:
    store = open_store(tmp_path)
    yield store
    store.close()


def _activate(release_id: str, releases: ReleaseStore, *, expected: int | None = None) -> None:
    activate_release(
        release_id,
        releases=releases,
        index=ExactIndex(),
        settings=Settings(),
        expected_version=expected,
        actor=ACTOR,
    )


def _roll_back(releases: ReleaseStore) -> None:
    roll_back(
        releases=releases,
        index=ExactIndex(),
        settings=Settings(),
        expected_version=None,
        actor=ACTOR,
    )


def _active(releases: ReleaseStore) -> str | None:
    found = releases.active()
    return None if found is None else found.release_id


def test_a_switch_waits_for_the_replica_that_was_started_since_the_stage(
    releases: ReleaseStore,
) -> None:
    release_id = add_staged(releases, make_release("cases_a"))
    for name in ("Encoder", "Retriever", "Writer"):
        releases.beat(f"{name}-0", name, {release_id: READY})
    releases.beat("Writer-1", "Writer", {release_id: LOADING})
    with pytest.raises(ReplicasNotReadyError, match=r"writer 1 of 2 \(The engine is started\.\)"):
        _activate(release_id, releases)
    assert _active(releases) is None
    releases.beat("Writer-1", "Writer", {release_id: READY})
    _activate(release_id, releases)
    assert _active(releases) == release_id


def test_a_deployment_that_nobody_lives_of_holds_up_no_switch_and_hides_no_failure(
    releases: ReleaseStore,
) -> None:
    release_id = add_staged(releases, make_release("cases_a"))
    releases.beat("Encoder-0", "Encoder", {release_id: READY})
    releases.beat("Writer-0", "Writer", {release_id: Load(state="failed", message="No room.")})
    with pytest.raises(ReplicasNotReadyError, match="writer 0 of 1") as caught:
        _activate(release_id, releases)
    assert "the writer Writer-0: No room." in caught.value.message
    assert "retriever" not in caught.value.message
    releases.beat("Writer-0", "Writer", {release_id: READY})
    _activate(release_id, releases)
    assert _active(releases) == release_id


def test_the_way_back_is_refused_where_it_is_not_warm_any_more(releases: ReleaseStore) -> None:
    first = add_staged(releases, make_release("cases_a"))
    second = add_staged(releases, make_release("cases_b"))
    _activate(first, releases)
    _activate(second, releases)
    for name in ("Encoder", "Retriever", "Writer"):
        releases.beat(f"{name}-0", name, {first: READY, second: READY})
    releases.beat("Encoder-0", "Encoder", {first: LOADING, second: READY})
    with pytest.raises(ReplicasNotReadyError, match="encoder 0 of 1"):
        _roll_back(releases)
    assert _active(releases) == second
    releases.beat("Encoder-0", "Encoder", {first: READY, second: READY})
    _roll_back(releases)
    assert _active(releases) == first


def test_what_the_switch_itself_refuses_is_told_as_ever(releases: ReleaseStore) -> None:
    verified = add_verified(releases, make_release("cases_a"))
    staged = add_staged(releases, make_release("cases_b"))
    for name in ("Encoder", "Retriever", "Writer"):
        releases.beat(f"{name}-0", name, {staged: READY})
    with pytest.raises(ReleaseStateError, match="is verified") as caught:
        _activate(verified, releases)
    assert not isinstance(caught.value, ReplicasNotReadyError)
    with pytest.raises(ActivationConflictError):
        _activate(staged, releases, expected=7)


def test_of_two_who_move_the_alias_the_slower_one_moves_it_to_the_last_switch_too(
    releases: ReleaseStore,
) -> None:
    first = add_staged(releases, make_release("cases_a"))
    second = add_staged(releases, make_release("cases_b"))

    class OvertakenIndex(ExactIndex):
        def set_alias(self, alias: str, collection: str) -> None:
            if collection == "cases_a":  # while this was on its way, somebody else switched on
                releases.activate(second, expected_version=None, actor=ACTOR)
                super().set_alias(alias, "cases_b")
            super().set_alias(alias, collection)

    index = OvertakenIndex()
    for collection in ("cases_a", "cases_b"):
        index.create(collection, 4)
    switched = activate_release(
        first,
        releases=releases,
        index=index,
        settings=Settings(),
        expected_version=None,
        actor=ACTOR,
    )
    assert (switched.activation.release_id, switched.alias_problem) == (first, "")
    assert (_active(releases), index.aliases("cases_b")) == (second, (ALIAS,))


def test_without_any_replica_a_switch_is_made_as_nobody_lacks_the_release(
    releases: ReleaseStore,
) -> None:
    first = add_staged(releases, make_release("cases_a"))
    second = add_staged(releases, make_release("cases_b"))
    _activate(first, releases)
    _activate(second, releases)
    _roll_back(releases)
    assert _active(releases) == first
