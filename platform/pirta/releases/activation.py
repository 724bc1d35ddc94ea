"""The switch: which release answers from the next request on.

One row says it, and one compare-and-swap on its version changes it, forth and back alike. Of two
who switch from the same version one wins, and the other is told who did. Nothing is loaded or
unloaded by a switch: both releases are held by every replica before and after it.

A rollback after a rollback would bring back what was just left, which nobody means who does not
know of the first: it is made for those alone who name the version that they saw.
"""

from __future__ import annotations

from sqlalchemy import select, update

from pirta.errors import ActivationConflictError, ReleaseStateError
from pirta.releases import states
from pirta.releases.database import Database, Transaction
from pirta.releases.events import note
from pirta.releases.records import read_stored, set_state
from pirta.releases.states import Step
from pirta.releases.stored import Activation
from pirta.releases.tables import THE_ROW, ActivationRow, EventRow

_ACTIVATED, _ROLLED_BACK = "activated", "rolled back"  # the journal's words


def read_activation(database: Database) -> Activation | None:
    """Return the last switch, or None before the first."""
    with database.read() as transaction:
        return _read(transaction)


def activate(
    database: Database, release_id: str, *, expected_version: int | None, actor: str
) -> Activation:
    """Make a staged release the active one; the one before it stays staged.

    Args:
        expected_version: the switch goes only from this version; 0 is before the first. None
            takes whatever is there.

    Raises:
        ActivationConflictError: somebody else switched since.
        ReleaseStateError: the release is not staged.
    """
    with database.write() as transaction:
        transaction.hold_switch()
        current = _read_expected(transaction, expected_version)
        if current is not None and current.release_id == release_id:
            return current
        return _switch(transaction, current, release_id, states.ACTIVATE, _ACTIVATED, actor)


def rollback(database: Database, *, expected_version: int | None, actor: str) -> Activation:
    """Make the release active that was so before the last switch.

    Args:
        expected_version: as for `activate`; None goes back from whatever is there, but not from
            a rollback.

    Raises:
        ActivationConflictError: somebody else switched since, or the last switch was a rollback
            and no version is named.
        ReleaseStateError: there is none, or it is no longer staged.
    """
    with database.write() as transaction:
        transaction.hold_switch()
        current = _read_expected(transaction, expected_version)
        if current is None or current.previous_release_id is None:
            raise ReleaseStateError(
                "There is no release to roll back to: none was active before.",
                remedy="Stage another release and activate it.",
            )
        if expected_version is None and _last_step(transaction) == _ROLLED_BACK:
            raise ActivationConflictError(
                f"{current.actor} rolled back to {current.release_id} at {current.at:%H:%M:%S} UTC "
                f"(version {current.version}) already.",
                remedy=f"To go on with {current.previous_release_id} all the same, activate it, or "
                f"roll back with the expected version {current.version}.",
            )
        earlier = current.previous_release_id
        return _switch(transaction, current, earlier, states.ROLL_BACK, _ROLLED_BACK, actor)


def _read_expected(transaction: Transaction, expected_version: int | None) -> Activation | None:
    current = _read(transaction)
    version = 0 if current is None else current.version
    if expected_version is None or expected_version == version:
        return current
    winner = "Nothing was ever activated"
    if current is not None:
        winner = f"{current.actor} activated {current.release_id} at {current.at:%H:%M:%S} UTC"
    raise ActivationConflictError(
        f"{winner} (version {version}); this switch was meant from version {expected_version}.",
        remedy="Look at what is active with `pirta release list`, then decide anew.",
    )


def _last_step(transaction: Transaction) -> str | None:
    return transaction.connection.execute(
        select(EventRow.step)
        .where(EventRow.step.in_((_ACTIVATED, _ROLLED_BACK)))
        .order_by(EventRow.event_id.desc())
        .limit(1)
    ).scalar_one_or_none()


def _switch(
    transaction: Transaction,
    current: Activation | None,
    release_id: str,
    step: Step,
    done: str,
    actor: str,
) -> Activation:
    due = step.is_due(release_id, read_stored(transaction, release_id).state)
    assert due, "the active release was told apart before"
    before = None if current is None else current.release_id
    version = 0 if current is None else current.version
    if before is not None:
        set_state(transaction, before, "staged")
    set_state(transaction, release_id, "active")
    at = transaction.now()
    swapped = transaction.connection.execute(
        update(ActivationRow)
        .where(ActivationRow.row_id == THE_ROW, ActivationRow.version == version)
        .values(
            release_id=release_id,
            previous_release_id=before,
            version=version + 1,
            actor=actor,
            at=at,
        )
    )
    assert swapped.rowcount == 1, "the switch was held since the version was read"
    note(
        transaction,
        at=at,
        actor=actor,
        step=done,
        release_id=release_id,
        detail=f"version {version + 1}, before it {before or 'none'}",
    )
    return Activation(
        release_id=release_id,
        previous_release_id=before,
        version=version + 1,
        actor=actor,
        at=at,
    )


def _read(transaction: Transaction) -> Activation | None:
    row = transaction.connection.execute(
        select(
            ActivationRow.release_id,
            ActivationRow.previous_release_id,
            ActivationRow.version,
            ActivationRow.actor,
            ActivationRow.at,
        ).where(ActivationRow.row_id == THE_ROW)
    ).one()
    return None if row.release_id is None else Activation(**row._mapping)
