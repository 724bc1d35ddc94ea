"""The switch: forth, back, and who wins when two switch at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest

from pirta.errors import ActivationConflictError, ReleaseStateError
from pirta.releases.store import ReleaseStore
from tests.unit.releases.examples import Hands, bring_to, make_release, start_python


def test_before_the_first_switch_nothing_is_active(store: ReleaseStore) -> None:
    assert store.active() is None
    with pytest.raises(ReleaseStateError, match="no release to roll back to"):
        store.rollback(expected_version=None, actor="ann")


def test_a_switch_says_what_when_and_who_and_keeps_the_earlier_release_warm(
    store: ReleaseStore, hands: Hands
) -> None:
    one = bring_to(store, make_release(1), "active")
    two = bring_to(store, make_release(2), "staged")
    hands.move(seconds=60)
    switched = store.activate(two, expected_version=1, actor="bob")
    assert store.active() == switched
    assert (switched.release_id, switched.previous_release_id) == (two, one)
    assert (switched.version, switched.actor, switched.at) == (2, "bob", hands.at)
    assert (store.get(one).state, store.get(two).state) == ("staged", "active")


def test_a_rollback_is_the_same_switch_back_and_can_be_taken_back_itself(
    store: ReleaseStore,
) -> None:
    one = bring_to(store, make_release(1), "active")
    two = bring_to(store, make_release(2), "active")
    assert store.rollback(expected_version=2, actor="ann").release_id == one
    assert store.get(two).state == "staged"
    assert store.rollback(expected_version=3, actor="ann").release_id == two
    assert [event.step for event in store.events()][-2:] == ["rolled back", "rolled back"]


def test_a_second_rollback_in_the_same_alarm_does_not_bring_the_bad_release_back(
    store: ReleaseStore,
) -> None:
    one = bring_to(store, make_release(1), "active")
    two = bring_to(store, make_release(2), "active")
    store.rollback(expected_version=None, actor="ann")
    told = rf"ann rolled back to {one} at 12:00:00 UTC \(version 3\)"
    with pytest.raises(ActivationConflictError, match=told) as refused:
        store.rollback(expected_version=None, actor="bob")
    assert two in refused.value.remedy
    active = store.active()
    assert active is not None
    assert (active.release_id, active.version) == (one, 3)
    store.activate(two, expected_version=None, actor="bob")
    assert store.rollback(expected_version=None, actor="bob").release_id == one


def test_after_the_first_switch_there_is_nothing_to_roll_back_to(store: ReleaseStore) -> None:
    bring_to(store, make_release(1), "active")
    with pytest.raises(ReleaseStateError, match="no release to roll back to"):
        store.rollback(expected_version=None, actor="ann")


def test_no_rollback_goes_to_a_release_that_was_retired_since(store: ReleaseStore) -> None:
    one = bring_to(store, make_release(1), "active")
    two = bring_to(store, make_release(2), "active")
    store.begin_retirement(one, actor="ann")
    with pytest.raises(ReleaseStateError, match=f"{one} is draining; rollback needs it staged"):
        store.rollback(expected_version=None, actor="ann")
    active = store.active()
    assert active is not None
    assert active.release_id == two


def test_to_activate_the_active_release_again_changes_nothing(store: ReleaseStore) -> None:
    one = bring_to(store, make_release(1), "active")
    assert store.activate(one, expected_version=1, actor="bob") == store.active()
    active = store.active()
    assert active is not None
    assert (active.version, active.actor) == (1, "ann")


@pytest.mark.parametrize("expected", [0, 2, 7])
def test_a_switch_from_another_version_is_refused_and_names_who_won(
    store: ReleaseStore, expected: int
) -> None:
    one = bring_to(store, make_release(1), "active")
    two = bring_to(store, make_release(2), "staged")
    told = rf"ann activated {one} at 12:00:00 UTC \(version 1\); .* version {expected}"
    with pytest.raises(ActivationConflictError, match=told):
        store.activate(two, expected_version=expected, actor="bob")
    with pytest.raises(ActivationConflictError, match=told):
        store.rollback(expected_version=expected, actor="bob")
    assert store.get(two).state == "staged"


SWITCH = """
import sys
from pirta.errors import ActivationConflictError
from pirta.releases.store import ReleaseStore
url, release_id, actor = sys.argv[1:]
store = ReleaseStore(url)
store.active()
print("here", flush=True)
sys.stdin.readline()
try:
    store.activate(release_id, expected_version=0, actor=actor)
    print("won")
except ActivationConflictError as error:
    print(error.message)
"""


def test_of_two_operators_who_switch_at_once_one_wins_and_the_other_is_told(
    store: ReleaseStore, url: str
) -> None:
    names = [bring_to(store, make_release(number), "staged") for number in range(2)]
    actors = ["ann", "bob"]
    operators = [
        start_python(SWITCH, url, name, actor) for name, actor in zip(names, actors, strict=True)
    ]
    for operator in operators:
        assert operator.stdout is not None
        assert operator.stdout.readline() == "here\n"
    for operator in operators:
        assert operator.stdin is not None
        operator.stdin.write("go\n")
        operator.stdin.flush()
    told = [operator.communicate(timeout=120)[0].strip() for operator in operators]
    active = store.active()
    assert active is not None
    winner = actors.index(active.actor)
    assert (active.version, active.release_id, told[winner]) == (1, names[winner], "won")
    assert f"{active.actor} activated {active.release_id}" in told[1 - winner]
    assert sorted(store.get(name).state for name in names) == ["active", "staged"]


def test_a_switch_does_not_wait_behind_a_steady_stream_of_requests(store: ReleaseStore) -> None:
    names = [bring_to(store, make_release(number), "active") for number in range(2)]
    stop = Event()

    def stream(thread: int) -> int:
        number = 0
        while not stop.is_set():
            store.begin_request(f"r-{thread}-{number}", ttl_s=60)
            store.end_request(f"r-{thread}-{number}", study_id="s-1", cited=["c-1"])
            number += 1
        return number

    with ThreadPoolExecutor(6) as pool:
        streams = [pool.submit(stream, thread) for thread in range(6)]
        try:
            for version in range(2, 8):
                store.activate(names[version % 2], expected_version=version, actor="ann")
        finally:
            stop.set()
        assert all(stream.result() > 0 for stream in streams)
    assert sum(store.in_flight(name) for name in names) == 0
