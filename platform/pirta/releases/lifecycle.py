"""A release's way from built to dropped, but for the switch itself: see `activation`.

Each function is one transaction that looks at the state, refuses or goes on, and notes who did
it. The slow work (embedding, measuring, loading, draining) is done by others between two of them,
so that a process which dies leaves a state from which the next one goes on.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import delete, func, select, update

from pirta.contracts.release import GateResult, Release
from pirta.errors import CollectionInUseError, ReleaseStateError
from pirta.releases import states
from pirta.releases.database import Database, Transaction
from pirta.releases.events import note
from pirta.releases.records import (
    add_record,
    list_stored,
    read_stored,
    replace_gates,
    set_state,
)
from pirta.releases.states import State, Step
from pirta.releases.stored import StoredRelease
from pirta.releases.tables import LeaseRow, ReleaseRow

SYSTEM = "pirta"  # the actor of steps that nobody asks for by themselves


def add(database: Database, release: Release, *, actor: str) -> StoredRelease:
    """Add a release as `built`; one of the same content is there already and stays."""
    with database.write() as transaction:
        transaction.hold_switch()
        add_record(transaction, release, actor=actor)
        return read_stored(transaction, release.release_id)


def record_gates(
    database: Database, release_id: str, gates: Sequence[GateResult], *, actor: str
) -> StoredRelease:
    """Keep what the gates measured; the release is `verified` if all passed, else `rejected`."""
    assert gates, "a release that nothing was measured of is not verified"
    failed = [gate.name for gate in gates if not gate.passed]
    target: State = "rejected" if failed else "verified"
    with database.write() as transaction:
        transaction.hold_switch()
        replace = states.VERIFY.is_due(release_id, read_stored(transaction, release_id).state)
        assert replace
        replace_gates(transaction, release_id, gates)
        _move(transaction, release_id, target, actor=actor, detail=", ".join(failed))
        return read_stored(transaction, release_id)


def begin_staging(database: Database, release_id: str, *, actor: str) -> StoredRelease:
    """Ask every replica to load a release; from here on the store wants it loaded."""
    return _step(database, release_id, states.BEGIN_STAGING, "staging", actor=actor)


def finish_staging(database: Database, release_id: str) -> StoredRelease:
    """Say that every replica holds the release: it can be activated."""
    return _step(database, release_id, states.FINISH_STAGING, "staged", actor=SYSTEM)


def fail_staging(database: Database, release_id: str, reason: str) -> StoredRelease:
    """Take a release back to `verified` because a replica could not load it."""
    return _step(database, release_id, states.FAIL_STAGING, "verified", actor=SYSTEM, detail=reason)


def begin_retirement(database: Database, release_id: str, *, actor: str) -> StoredRelease:
    """Give no new request to a release, and let those under way end."""
    return _step(database, release_id, states.BEGIN_RETIREMENT, "draining", actor=actor)


def finish_retirement(database: Database, release_id: str) -> StoredRelease:
    """Say that a release's last request has ended: its replicas let it go.

    Raises:
        ReleaseStateError: requests are under way; the message says how many.
    """
    with database.write() as transaction:
        transaction.hold_switch()
        stored = read_stored(transaction, release_id)
        if not states.FINISH_RETIREMENT.is_due(release_id, stored.state):
            return stored
        under_way = count_in_flight(transaction, release_id)
        if under_way:
            raise ReleaseStateError(
                f"Release {release_id} still has {under_way} requests under way.",
                remedy=f"Wait for them: `pirta release retire {release_id}` does.",
            )
        # What is left belongs to gateways that died.
        transaction.connection.execute(delete(LeaseRow).where(LeaseRow.release_id == release_id))
        _move(transaction, release_id, "retired", actor=SYSTEM)
        return read_stored(transaction, release_id)


def mark_dropped(
    database: Database, release_id: str, *, actor: str, aliases: Sequence[str] = ()
) -> StoredRelease:
    """Say that a release's collection goes; the caller removes it afterwards.

    In this order a caller who dies in between leaves a collection that nothing uses, and calling
    again ends the work; the other way round a release could be staged without its collection.

    Args:
        aliases: that point to the collection, as the index says.

    Raises:
        ReleaseStateError: the release is pinned, or not retired.
        CollectionInUseError: an alias points to the collection, or another release uses it.
    """
    with database.write() as transaction:
        transaction.hold_switch()
        stored = read_stored(transaction, release_id)
        if not states.DROP.is_due(release_id, stored.state):
            return stored
        _refuse_while_needed(transaction, stored, aliases)
        _move(transaction, release_id, "dropped", actor=actor)
        return read_stored(transaction, release_id)


def note_cases(database: Database, release_id: str, *, actor: str, detail: str) -> None:
    """Note in the release's history that cases were added to its collection.

    Raises:
        UnknownReleaseError: there is none of this id.
    """
    with database.write() as transaction:
        read_stored(transaction, release_id)
        at = transaction.now()
        note(
            transaction,
            at=at,
            actor=actor,
            step="cases added",
            release_id=release_id,
            detail=detail,
        )


def set_pin(database: Database, release_id: str, *, pinned: bool, actor: str) -> StoredRelease:
    """Keep a release from being dropped, or let it go."""
    with database.write() as transaction:
        transaction.hold_switch()
        if read_stored(transaction, release_id).pinned != pinned:
            transaction.connection.execute(
                update(ReleaseRow).where(ReleaseRow.release_id == release_id).values(pinned=pinned)
            )
            step = "pinned" if pinned else "unpinned"
            note(transaction, at=transaction.now(), actor=actor, step=step, release_id=release_id)
        return read_stored(transaction, release_id)


def wanted(database: Database) -> tuple[Release, ...]:
    """Return the releases that every replica is to hold, the active one first.

    In this order one that starts anew has what requests need before what is only kept warm.
    """
    with database.read() as transaction:
        found = list_stored(transaction, states.WANTED_STATES)
    return tuple(one.release for one in sorted(found, key=lambda one: one.state != "active"))


def count_in_flight(transaction: Transaction, release_id: str) -> int:
    """Return how many requests are under way on a release; expired leases do not count."""
    return transaction.connection.execute(
        select(func.count())
        .select_from(LeaseRow)
        .where(LeaseRow.release_id == release_id, LeaseRow.expires_at > transaction.now())
    ).scalar_one()


def _step(
    database: Database, release_id: str, step: Step, target: State, *, actor: str, detail: str = ""
) -> StoredRelease:
    with database.write() as transaction:
        transaction.hold_switch()
        stored = read_stored(transaction, release_id)
        if not step.is_due(release_id, stored.state):
            return stored
        _move(transaction, release_id, target, actor=actor, detail=detail)
        return read_stored(transaction, release_id)


def _move(
    transaction: Transaction, release_id: str, target: State, *, actor: str, detail: str = ""
) -> None:
    set_state(transaction, release_id, target)
    at = transaction.now()
    note(transaction, at=at, actor=actor, step=target, release_id=release_id, detail=detail)


def _refuse_while_needed(
    transaction: Transaction, stored: StoredRelease, aliases: Sequence[str]
) -> None:
    release_id, collection = stored.release_id, stored.release.collection
    if stored.pinned:
        raise ReleaseStateError(
            f"Release {release_id} is pinned.", remedy=f"`pirta release unpin {release_id}` first."
        )
    if aliases:
        raise CollectionInUseError(
            f"The alias {', '.join(aliases)} points to the collection {collection}.",
            remedy="Activate another release, or take the alias away, first.",
        )
    users = transaction.connection.execute(
        select(ReleaseRow.release_id)
        .where(ReleaseRow.collection == collection)
        .where(ReleaseRow.release_id != release_id, ReleaseRow.state != "dropped")
        .order_by(ReleaseRow.release_id)
    ).scalars()
    if names := ", ".join(users):
        raise CollectionInUseError(
            f"The collection {collection} is also that of {names}.",
            remedy="Drop those first; a retired release costs no more than its collection.",
        )
