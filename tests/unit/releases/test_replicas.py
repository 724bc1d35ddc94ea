"""Beats: who lives, what each replica holds, and how a killed one is noticed."""

from __future__ import annotations

from sqlalchemy import select

from pirta.releases.database import Database
from pirta.releases.store import ReleaseStore
from pirta.releases.stored import Load
from pirta.releases.tables import LeaseRow
from tests.unit.releases.examples import Hands, bring_to, make_release

READY = Load(state="ready")


def test_the_last_beat_says_what_a_replica_holds(store: ReleaseStore, hands: Hands) -> None:
    store.beat("e-1", "encoder", {"rel-1": READY, "rel-2": Load(state="loading")})
    hands.move(seconds=1)
    failed = Load(state="failed", message="812 MiB are missing")
    store.beat("e-1", "encoder", {"rel-2": failed})
    store.beat("w-1", "writer", {})
    encoder, writer = store.live_replicas()
    assert (encoder.replica_id, encoder.deployment, encoder.beat_at) == ("e-1", "encoder", hands.at)
    assert encoder.loads == {"rel-2": failed}
    assert (writer.deployment, writer.loads) == ("writer", {})


def test_a_replica_that_is_not_heard_of_any_more_is_gone(store: ReleaseStore, hands: Hands) -> None:
    store.beat("e-1", "encoder", {"rel-1": READY})
    hands.move(seconds=5)
    store.beat("e-2", "encoder", {"rel-1": READY})
    hands.move(seconds=5)
    assert [one.replica_id for one in store.live_replicas(within_s=10)] == ["e-1", "e-2"]
    assert [one.replica_id for one in store.live_replicas(within_s=9.9)] == ["e-2"]
    hands.move(seconds=20)
    assert store.live_replicas() == ()


def test_a_replica_that_ends_is_gone_at_once(store: ReleaseStore) -> None:
    store.beat("e-1", "encoder", {"rel-1": READY})
    store.forget_replica("e-1")
    store.forget_replica("never seen")
    assert store.live_replicas() == ()


def test_replicas_that_are_long_gone_leave_no_rows(store: ReleaseStore, hands: Hands) -> None:
    store.beat("e-1", "encoder", {})
    hands.move(seconds=2 * 24 * 3600)
    store.beat("e-2", "encoder", {})
    names = [one.replica_id for one in store.live_replicas(within_s=7 * 24 * 3600)]
    assert names == ["e-2"]


def test_leases_of_gateways_that_were_killed_leave_no_rows(
    store: ReleaseStore, url: str, hands: Hands
) -> None:
    release_id = bring_to(store, make_release(), "active")
    store.begin_request("lost", ttl_s=60)
    hands.move(seconds=120)
    store.beat("e-1", "encoder", {})
    store.begin_request("slow", ttl_s=60)
    assert _leases(url) == {"lost", "slow"}, "one that outlived its lease may still end"
    hands.move(seconds=60 * 60)
    store.begin_request("under way", ttl_s=60)
    store.beat("e-1", "encoder", {})
    assert _leases(url) == {"slow", "under way"}
    assert store.in_flight(release_id) == 1


def _leases(url: str) -> set[str]:
    database = Database(url)
    with database.read() as transaction:
        found = set(transaction.connection.execute(select(LeaseRow.request_id)).scalars())
    database.close()
    return found
