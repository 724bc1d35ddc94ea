"""Release records as they lie in the store: added once, read back, and checked against their id.

A record's id is the hash of its content, so a record that somebody changed, or that a later
version of the code reads in another way, is found out at every reading.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pydantic import ValidationError
from sqlalchemy import Row, Select, delete, insert, select, update

from pirta.contracts.release import GateResult, Release
from pirta.errors import ReleaseError, UnknownReleaseError
from pirta.releases.database import Transaction
from pirta.releases.events import note
from pirta.releases.states import WANTED_STATES, State
from pirta.releases.stored import CollectionUse, Listing, StoredRelease, UnreadableRelease
from pirta.releases.tables import GateRow, ReleaseRow, table_of

_ALL = select(table_of(ReleaseRow)).order_by(ReleaseRow.created_at, ReleaseRow.release_id)


def add_record(transaction: Transaction, release: Release, *, actor: str) -> None:
    """Add a release as `built`; one of the same content stays as it is.

    A dropped one starts anew, with its collection built again and its gates to be measured again.
    Where the parts lie is no content: the paths become those of the last build, unless replicas
    hold the release, whose parts were checked where they lie.
    """
    connection, release_id = transaction.connection, release.release_id
    known = connection.execute(
        select(ReleaseRow.state, ReleaseRow.content).where(ReleaseRow.release_id == release_id)
    ).one_or_none()
    if known is not None and known.state != "dropped":
        _add_again(transaction, release, known.state, known.content, actor=actor)
        return
    now = transaction.now()
    note(transaction, at=now, actor=actor, step="built", release_id=release_id)
    values = {**_columns(release), "state": "built", "pinned": False, "created_at": now}
    if known is None:
        connection.execute(insert(ReleaseRow).values(release_id=release_id, **values))
        return
    connection.execute(delete(GateRow).where(GateRow.release_id == release_id))
    _update(transaction, release_id, values)


def read_stored(transaction: Transaction, release_id: str) -> StoredRelease:
    """Return one release.

    Raises:
        UnknownReleaseError: the store does not hold it.
        ReleaseError: its record does not match its id.
    """
    found = _stored(
        transaction, select(table_of(ReleaseRow)).where(ReleaseRow.release_id == release_id)
    )
    if not found:
        raise unknown_release(transaction, release_id)
    return found[0]


def list_stored(
    transaction: Transaction, states: Sequence[State] | None = None
) -> tuple[StoredRelease, ...]:
    """Return all releases, or those in `states`, in the order in which they were built."""
    return _stored(
        transaction, _ALL if states is None else _ALL.where(ReleaseRow.state.in_(states))
    )


def survey(transaction: Transaction) -> Listing:
    """Return all releases, and beside them those that cannot be read."""
    rows, gates = _rows_and_gates(transaction, _ALL)
    read: list[StoredRelease] = []
    unreadable: list[UnreadableRelease] = []
    for row in rows:
        try:
            read.append(_from_row(row, gates[row.release_id]))
        except ReleaseError as error:
            unreadable.append(
                UnreadableRelease(
                    release_id=row.release_id,
                    state=row.state,
                    pinned=row.pinned,
                    created_at=row.created_at,
                    problem=error.message,
                    remedy=error.remedy,
                )
            )
    return Listing(releases=tuple(read), unreadable=tuple(unreadable))


def list_collections(transaction: Transaction) -> tuple[CollectionUse, ...]:
    """Return the collections that releases need, in the order of their building; none is read.

    Those of dropped releases are left out.
    """
    rows = transaction.connection.execute(
        select(ReleaseRow.release_id, ReleaseRow.collection, ReleaseRow.state)
        .where(ReleaseRow.state != "dropped")
        .order_by(ReleaseRow.created_at, ReleaseRow.release_id)
    )
    return tuple(CollectionUse(**row._mapping) for row in rows)


def unknown_release(transaction: Transaction, release_id: str) -> UnknownReleaseError:
    """Return the error for an id that the store does not hold, with those that it does."""
    known = transaction.connection.execute(
        select(ReleaseRow.release_id).order_by(ReleaseRow.created_at.desc()).limit(5)
    ).scalars()
    names = ", ".join(known) or "none at all"
    return UnknownReleaseError(
        f"The store holds no release {release_id}; the latest that it holds: {names}.",
        remedy="List them with `pirta release list`, or build it with `pirta release build`.",
    )


def parse_record(release_id: str, content: str) -> Release:
    """Return the record in `content`.

    Raises:
        ReleaseError: it is no record, or not the one that `release_id` was made from.
    """
    try:
        release = Release.model_validate_json(content)
    except ValidationError as error:
        raise ReleaseError(
            f"The stored record of {release_id} cannot be read: {_fields_of(error)}.",
            remedy="Use the version of pirta that built it, or build the release again.",
        ) from None
    if release.release_id != release_id:
        raise ReleaseError(
            f"The record stored as {release_id} hashes to {release.release_id}: it was changed.",
            remedy="Restore the store from its backup, or build the release again.",
        )
    return release


def set_state(transaction: Transaction, release_id: str, state: State) -> None:
    """Write a state; whether it may be so is `states.Step`'s to say, before."""
    transaction.connection.execute(
        update(ReleaseRow).where(ReleaseRow.release_id == release_id).values(state=state)
    )


def replace_gates(transaction: Transaction, release_id: str, gates: Iterable[GateResult]) -> None:
    """Put the results of a verification in the place of the last one's."""
    transaction.connection.execute(delete(GateRow).where(GateRow.release_id == release_id))
    for position, gate in enumerate(gates):
        transaction.connection.execute(
            insert(GateRow).values(
                release_id=release_id, position=position, content=gate.model_dump_json()
            )
        )


def _add_again(
    transaction: Transaction, release: Release, state: State, content: str, *, actor: str
) -> None:
    """Take over where the parts of a known release lie now, or leave them; the journal says it."""
    release_id = release.release_id
    try:
        known = parse_record(release_id, content)
    except ReleaseError:  # a record that cannot be read is mended by one that can
        known = None
    if known == release:
        return
    keeps = known is not None and state in WANTED_STATES
    note(
        transaction,
        at=transaction.now(),
        actor=actor,
        step="built again",
        release_id=release_id,
        detail=f"its parts stay where they were checked: it is {state}"
        if keeps
        else "its parts are those of this build",
    )
    if not keeps:
        _update(transaction, release_id, _columns(release))


def _columns(release: Release) -> dict[str, object]:
    return {"content": release.model_dump_json(), "collection": release.collection}


def _update(transaction: Transaction, release_id: str, values: dict[str, object]) -> None:
    transaction.connection.execute(
        update(ReleaseRow).where(ReleaseRow.release_id == release_id).values(**values)
    )


def _stored(
    transaction: Transaction, query: Select[tuple[object, ...]]
) -> tuple[StoredRelease, ...]:
    rows, gates = _rows_and_gates(transaction, query)
    return tuple(_from_row(row, gates[row.release_id]) for row in rows)


def _rows_and_gates(
    transaction: Transaction, query: Select[tuple[object, ...]]
) -> tuple[Sequence[Row[tuple[object, ...]]], dict[str, list[str]]]:
    """Return the releases' rows, and the text of each one's gates."""
    rows = transaction.connection.execute(query).all()
    gates: dict[str, list[str]] = {row.release_id: [] for row in rows}
    measured = transaction.connection.execute(
        select(GateRow.release_id, GateRow.content)
        .where(GateRow.release_id.in_(list(gates)))
        .order_by(GateRow.position)
    )
    for release_id, content in measured:
        gates[release_id].append(content)
    return rows, gates


def _from_row(row: Row[tuple[object, ...]], gates: Sequence[str]) -> StoredRelease:
    return StoredRelease(
        release=parse_record(row.release_id, row.content),
        state=row.state,
        pinned=row.pinned,
        created_at=row.created_at,
        gates=tuple(_parse_gate(row.release_id, content) for content in gates),
    )


def _parse_gate(release_id: str, content: str) -> GateResult:
    try:
        return GateResult.model_validate_json(content)
    except ValidationError as error:
        raise ReleaseError(
            f"A stored gate of {release_id} cannot be read: {_fields_of(error)}.",
            remedy="Use the version of pirta that measured it, or verify the release again.",
        ) from None


def _fields_of(error: ValidationError) -> str:
    """Return where a text is not what it should be; its values stay out."""
    places = (item["loc"] for item in error.errors(include_url=False, include_input=False))
    return ", ".join(".".join(map(str, place)) or "all of it" for place in places)
