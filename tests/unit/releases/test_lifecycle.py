"""The life of a release, step by step: what each step needs, leaves, and refuses."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from pirta.errors import (
    CollectionInUseError,
    ReleaseError,
    ReleaseStateError,
    UnknownReleaseError,
)
from pirta.releases.database import Database
from pirta.releases.states import STATES, WANTED_STATES, State
from pirta.releases.store import ReleaseStore
from tests.unit.releases.examples import FAILED, PASSED, bring_to, make_release

STEPS = {
    "record_gates": lambda store, name: store.record_gates(name, [PASSED], actor="ann"),
    "begin_staging": lambda store, name: store.begin_staging(name, actor="ann"),
    "finish_staging": lambda store, name: store.finish_staging(name),
    "fail_staging": lambda store, name: store.fail_staging(name, "no memory"),
    "activate": lambda store, name: store.activate(name, expected_version=None, actor="ann"),
    "begin_retirement": lambda store, name: store.begin_retirement(name, actor="ann"),
    "finish_retirement": lambda store, name: store.finish_retirement(name),
    "mark_dropped": lambda store, name: store.mark_dropped(name, actor="ann"),
}
# What each step makes of a release in each state; where a state is missing the step is refused.
OUTCOMES: dict[str, dict[State, State]] = {
    "record_gates": dict.fromkeys(("built", "verified", "rejected", "retired"), "verified"),
    "begin_staging": {"verified": "staging", "staging": "staging", "staged": "staged"},
    "finish_staging": {"staging": "staged", "staged": "staged"},
    "fail_staging": {"staging": "verified", "verified": "verified"},
    "activate": {"staged": "active", "active": "active"},
    "begin_retirement": {
        **dict.fromkeys(("built", "rejected", "verified", "staging", "staged"), "draining"),
        "draining": "draining",
        "retired": "retired",
    },
    "finish_retirement": {"draining": "retired", "retired": "retired"},
    "mark_dropped": {"retired": "dropped", "dropped": "dropped"},
}


@pytest.mark.parametrize("step", STEPS)
def test_each_step_goes_from_its_states_and_is_refused_from_all_others(
    store: ReleaseStore, step: str
) -> None:
    for number, state in enumerate(STATES):
        release_id = bring_to(store, make_release(number), state)
        outcome = OUTCOMES[step].get(state)
        if outcome is None:
            with pytest.raises(ReleaseStateError, match=f"{release_id} is {state}; .* needs it"):
                STEPS[step](store, release_id)
        else:
            STEPS[step](store, release_id)
        assert store.get(release_id).state == (outcome or state)


def test_a_release_comes_back_as_it_was_added_and_only_once(store: ReleaseStore) -> None:
    release = make_release()
    first = store.add(release, actor="ann")
    assert store.add(release, actor="bob") == first
    assert first.release == release
    assert store.list() == (first,)
    assert [event.actor for event in store.events()] == ["ann"]


@pytest.mark.parametrize("state", STATES)
def test_a_release_whose_parts_were_moved_is_found_there_unless_replicas_hold_it(
    store: ReleaseStore, state: State
) -> None:
    release_id = bring_to(store, make_release(), state)
    moved = make_release().model_copy(update={"encoder_path": "elsewhere"})
    stored = store.add(moved, actor="bob")
    assert stored.state == ("built" if state == "dropped" else state)
    is_held = state in WANTED_STATES
    assert stored.release.encoder_path == ("weights/encoder" if is_held else "elsewhere")
    event = store.events()[-1]
    assert (event.actor, event.release_id) == ("bob", release_id)
    assert event.step == ("built" if state == "dropped" else "built again")
    assert ("stay" in event.detail) == is_held


def test_an_unknown_release_is_named_with_those_that_are_known(store: ReleaseStore) -> None:
    known = bring_to(store, make_release(), "built")
    for step in STEPS.values():
        with pytest.raises(UnknownReleaseError, match=f"no release rel-x; .*{known}"):
            step(store, "rel-x")
    with pytest.raises(UnknownReleaseError, match="rel-x"):
        store.get("rel-x")


def test_the_gates_stay_with_the_release_in_their_order(store: ReleaseStore) -> None:
    release_id = bring_to(store, make_release(), "built")
    stored = store.record_gates(release_id, [PASSED, FAILED], actor="ann")
    assert (stored.state, stored.gates) == ("rejected", (PASSED, FAILED))
    better = FAILED.model_copy(update={"passed": True, "value": 1.0})
    assert store.record_gates(release_id, [better], actor="ann").gates == (better,)
    assert store.get(release_id).state == "verified"


def test_a_retired_release_passes_the_gates_again_before_it_is_staged(store: ReleaseStore) -> None:
    release_id = bring_to(store, make_release(), "retired")
    with pytest.raises(ReleaseStateError, match=f"pirta release verify {release_id}"):
        store.begin_staging(release_id, actor="ann")
    assert store.record_gates(release_id, [PASSED], actor="ann").state == "verified"


def test_a_dropped_release_that_is_built_again_starts_anew(store: ReleaseStore) -> None:
    release_id = bring_to(store, make_release(), "dropped")
    stored = store.add(make_release(), actor="bob")
    assert (stored.state, stored.gates, stored.release_id) == ("built", (), release_id)


def test_the_wanted_releases_are_those_that_replicas_hold(store: ReleaseStore) -> None:
    wanted = {
        bring_to(store, make_release(number), state)
        for number, state in enumerate(STATES)
        if state in WANTED_STATES
    }
    for number, state in enumerate(STATES):
        if state not in WANTED_STATES:
            bring_to(store, make_release(number), state)
    assert {release.release_id for release in store.wanted()} == wanted
    active = store.active()
    assert active is not None
    assert store.wanted()[0].release_id == active.release_id


def test_a_failed_stage_keeps_its_reason_in_the_journal(store: ReleaseStore) -> None:
    release_id = bring_to(store, make_release(), "staging")
    store.fail_staging(release_id, "replica e1: 812 MiB are missing")
    assert store.events()[-1].detail == "replica e1: 812 MiB are missing"


def test_a_pinned_release_is_not_dropped_until_it_is_unpinned(store: ReleaseStore) -> None:
    release_id = bring_to(store, make_release(), "retired")
    assert store.pin(release_id, actor="ann").pinned
    with pytest.raises(ReleaseStateError, match="pinned"):
        store.mark_dropped(release_id, actor="ann")
    assert not store.unpin(release_id, actor="ann").pinned
    assert store.mark_dropped(release_id, actor="ann").state == "dropped"
    assert [event.step for event in store.events()][-3:] == ["pinned", "unpinned", "dropped"]


def test_an_aliased_collection_is_not_dropped(store: ReleaseStore) -> None:
    release_id = bring_to(store, make_release(), "retired")
    with pytest.raises(CollectionInUseError, match=r"pirta_active points to .*cases_1"):
        store.mark_dropped(release_id, actor="ann", aliases=["pirta_active"])
    assert store.get(release_id).state == "retired"


def test_an_active_release_is_neither_retired_nor_dropped(store: ReleaseStore) -> None:
    release_id = bring_to(store, make_release(), "active")
    with pytest.raises(ReleaseStateError, match="Activate another release first"):
        store.begin_retirement(release_id, actor="ann")
    with pytest.raises(ReleaseStateError, match="is active"):
        store.mark_dropped(release_id, actor="ann")


@pytest.mark.parametrize("other_state", [state for state in STATES if state != "dropped"])
def test_a_collection_of_another_release_is_not_dropped(
    store: ReleaseStore, other_state: State
) -> None:
    release_id = bring_to(store, make_release(1, collection="shared"), "retired")
    other = bring_to(store, make_release(2, collection="shared"), other_state)
    with pytest.raises(CollectionInUseError, match=f"shared is also that of {other}"):
        store.mark_dropped(release_id, actor="ann")


def test_a_collection_that_only_dropped_releases_share_is_dropped(store: ReleaseStore) -> None:
    bring_to(store, make_release(1, collection="shared"), "dropped")
    bring_to(store, make_release(2, collection="shared"), "dropped")


def test_a_record_that_was_changed_in_the_store_is_found_out(store: ReleaseStore, url: str) -> None:
    release_id = bring_to(store, make_release(), "active")
    other = make_release(2).model_dump_json()
    _overwrite(url, other)
    calls = [
        lambda: store.get(release_id),
        store.list,
        store.wanted,
        lambda: store.begin_request("r-1", ttl_s=60),
    ]
    for call in calls:
        with pytest.raises(ReleaseError, match=f"stored as {release_id} hashes to rel-.*changed"):
            call()
    assert store.in_flight(release_id) == 0


def test_cases_that_were_added_stand_in_the_releases_history(store: ReleaseStore) -> None:
    release_id = bring_to(store, make_release(), "active")
    store.note_cases(release_id, actor="bob", detail="4 new, 0 replaced")
    last = store.events()[-1]
    assert (last.actor, last.step, last.release_id, last.detail) == (
        "bob", "cases added", release_id, "4 new, 0 replaced",
    )  # fmt: skip
    with pytest.raises(UnknownReleaseError):
        store.note_cases("rel-none", actor="bob", detail="")


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"encoder_path": 1}'])
def test_a_stored_record_that_is_none_is_refused(
    store: ReleaseStore, url: str, content: str
) -> None:
    release_id = bring_to(store, make_release(), "built")
    _overwrite(url, content)
    with pytest.raises(ReleaseError, match=f"record of {release_id} cannot be read"):
        store.get(release_id)


def _overwrite(url: str, content: str) -> None:
    database = Database(url)
    with database.write() as transaction:
        transaction.connection.execute(text("UPDATE release SET content = :c"), {"c": content})
    database.close()
