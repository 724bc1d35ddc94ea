"""Requests under way: what they go by, what holds a release, what a withdrawal reaches."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from pirta.errors import NoActiveReleaseError, ReleaseStateError
from pirta.releases.store import ReleaseStore
from tests.unit.releases.examples import Hands, bring_to, make_release


def test_without_an_active_release_a_request_is_told_so(store: ReleaseStore) -> None:
    bring_to(store, make_release(), "staged")
    with pytest.raises(NoActiveReleaseError, match="pirta release activate"):
        store.begin_request("r-1", ttl_s=60)


def test_a_request_goes_by_the_release_that_was_active_when_it_began(store: ReleaseStore) -> None:
    one = bring_to(store, make_release(1), "active")
    before = store.begin_request("r-1", ttl_s=60)
    two = bring_to(store, make_release(2), "active")
    after = store.begin_request("r-2", ttl_s=60)
    assert (before.release, after.release) == (make_release(1), make_release(2))
    assert (store.in_flight(one), store.in_flight(two)) == (1, 1)


def test_a_release_is_not_retired_under_a_request(store: ReleaseStore) -> None:
    one = bring_to(store, make_release(1), "active")
    store.begin_request("r-1", ttl_s=60)
    store.begin_request("r-2", ttl_s=60)
    bring_to(store, make_release(2), "active")
    store.begin_retirement(one, actor="ann")
    with pytest.raises(ReleaseStateError, match="still has 2 requests under way"):
        store.finish_retirement(one)
    store.end_request("r-1")
    with pytest.raises(ReleaseStateError, match="still has 1 requests under way"):
        store.finish_retirement(one)
    store.end_request("r-2")
    assert store.finish_retirement(one).state == "retired"


def test_the_lease_of_a_gateway_that_died_runs_out(store: ReleaseStore, hands: Hands) -> None:
    one = bring_to(store, make_release(1), "active")
    store.begin_request("r-1", ttl_s=60)
    bring_to(store, make_release(2), "active")
    store.begin_retirement(one, actor="ann")
    hands.move(seconds=59.9)
    assert store.in_flight(one) == 1
    hands.move(seconds=0.2)
    assert store.in_flight(one) == 0
    assert store.finish_retirement(one).state == "retired"


def test_a_request_that_outlived_its_lease_still_notes_what_it_cited(
    store: ReleaseStore, hands: Hands
) -> None:
    one = bring_to(store, make_release(1), "active")
    store.begin_request("r-1", ttl_s=60)
    bring_to(store, make_release(2), "active")
    hands.move(seconds=61)
    store.begin_retirement(one, actor="ann")
    store.finish_retirement(one)
    assert store.end_request("r-1", study_id="s-1", cited=["c-1"]) == frozenset()
    (citation,) = store.citations("c-1")
    assert (citation.study_id, citation.release_id) == ("s-1", None)


def test_an_id_that_is_under_way_is_refused_and_its_lease_stays(store: ReleaseStore) -> None:
    one = bring_to(store, make_release(1), "active")
    store.begin_request("r-1", ttl_s=60)
    with pytest.raises(ReleaseStateError, match="id r-1 is under way"):
        store.begin_request("r-1", ttl_s=60)
    assert store.in_flight(one) == 1


def test_an_end_that_is_sent_twice_changes_nothing_more(store: ReleaseStore) -> None:
    bring_to(store, make_release(1), "active")
    store.begin_request("r-1", ttl_s=60)
    for _ in range(2):
        store.end_request("r-1", study_id="s-1", cited=["c-1", "c-2", "c-1"])
    assert len(store.citations("c-1")) == len(store.citations("c-2")) == 1
    store.end_request("never begun")


def test_a_withdrawn_case_comes_with_the_very_next_request(store: ReleaseStore) -> None:
    bring_to(store, make_release(1), "active")
    assert store.begin_request("r-0", ttl_s=60).withdrawn == frozenset()
    for number in range(3):
        store.withdraw(f"c-{number}", reason="consent withdrawn", actor="ann")
        ticket = store.begin_request(f"r-{number + 1}", ttl_s=60)
        assert ticket.withdrawn == {f"c-{one}" for one in range(number + 1)}
    assert store.withdrawn() == {"c-0", "c-1", "c-2"}


def test_another_process_learns_of_a_withdrawal_at_its_next_request(
    store: ReleaseStore, url: str
) -> None:
    bring_to(store, make_release(1), "active")
    other = ReleaseStore(url)
    assert other.begin_request("r-1", ttl_s=60).withdrawn == frozenset()
    store.withdraw("c-1", reason="consent withdrawn", actor="ann")
    assert other.begin_request("r-2", ttl_s=60).withdrawn == {"c-1"}
    other.close()


def test_a_withdrawal_lists_the_reports_that_cited_the_case(
    store: ReleaseStore, hands: Hands
) -> None:
    one = bring_to(store, make_release(1), "active")
    for number in range(2):
        store.begin_request(f"r-{number}", ttl_s=60)
        store.end_request(f"r-{number}", study_id=f"s-{number}", cited=["c-1", f"other-{number}"])
        hands.move(seconds=1)
    told = store.withdraw("c-1", reason="wrong label", actor="ann")
    assert [(one.study_id, one.release_id) for one in told] == [("s-0", one), ("s-1", one)]
    assert told == store.citations("c-1")
    assert store.withdraw("c-1", reason="again", actor="bob") == told
    assert [event.actor for event in store.events() if event.step == "withdrawn"] == ["ann"]


def test_a_report_whose_case_was_withdrawn_under_way_is_stopped_and_not_noted(
    store: ReleaseStore,
) -> None:
    one = bring_to(store, make_release(1), "active")
    store.begin_request("r-1", ttl_s=60)
    assert store.withdraw("c-1", reason="consent withdrawn", actor="ann") == ()
    assert store.end_request("r-1", study_id="s-1", cited=["c-1", "c-2"]) == {"c-1"}
    assert store.citations("c-2") == ()
    assert store.in_flight(one) == 0


def test_every_report_is_either_stopped_or_told_to_whoever_withdraws(
    store: ReleaseStore,
) -> None:
    """Many requests end while their case is withdrawn: none slips through between the two."""
    bring_to(store, make_release(1), "active")
    for number in range(5):
        case_id = f"c-{number}"
        names = [f"r-{number}-{one}" for one in range(12)]
        for name in names:
            store.begin_request(name, ttl_s=60)
        with ThreadPoolExecutor(8) as pool:
            ends = [
                pool.submit(store.end_request, name, study_id=name, cited=[case_id])
                for name in names[:6]
            ]
            withdrawal = pool.submit(store.withdraw, case_id, reason="r", actor="ann")
            ends += [
                pool.submit(store.end_request, name, study_id=name, cited=[case_id])
                for name in names[6:]
            ]
        told = {citation.study_id for citation in withdrawal.result()}
        stopped = {name for name, end in zip(names, ends, strict=True) if end.result() == {case_id}}
        assert told | stopped == set(names)
        assert not told & stopped


def test_no_request_begins_on_a_release_that_is_retired_at_that_moment(
    store: ReleaseStore,
) -> None:
    """Requests begin while releases change and the old ones retire: each lease holds its own."""
    bring_to(store, make_release(0), "active")
    with ThreadPoolExecutor(6) as pool:
        for number in range(1, 6):
            earlier = store.active()
            assert earlier is not None
            later = bring_to(store, make_release(number), "staged")
            begun = [
                pool.submit(store.begin_request, f"r-{number}-{one}", ttl_s=60) for one in range(10)
            ]
            store.activate(later, expected_version=number, actor="ann")
            under_way = store.in_flight(earlier.release_id)
            tickets = [one.result() for one in begun]
            held = [t for t in tickets if t.release.release_id == earlier.release_id]
            # Whoever got the earlier release had leased it before the switch was over.
            assert len(held) <= under_way
            for ticket in tickets:
                store.end_request(ticket.request_id)
            store.begin_retirement(earlier.release_id, actor="ann")
            assert store.finish_retirement(earlier.release_id).state == "retired"
