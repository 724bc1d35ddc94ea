"""The store's journal: who did what to which release or case, in order, never changed."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import insert, select

from pirta.releases.database import Database, Transaction
from pirta.releases.stored import Event
from pirta.releases.tables import EventRow


def note(
    transaction: Transaction,
    *,
    at: datetime,
    actor: str,
    step: str,
    release_id: str | None = None,
    detail: str = "",
) -> None:
    """Add an event to the transaction that makes it true.

    Args:
        actor: an operator's name or a site's, never a patient's.
        detail: ids, counts and codes.
    """
    transaction.connection.execute(
        insert(EventRow).values(at=at, actor=actor, step=step, release_id=release_id, detail=detail)
    )


def read_events(database: Database) -> tuple[Event, ...]:
    """Return every event, the oldest first."""
    columns = (EventRow.at, EventRow.actor, EventRow.step, EventRow.release_id, EventRow.detail)
    with database.read() as transaction:
        rows = transaction.connection.execute(select(*columns).order_by(EventRow.event_id))
        return tuple(Event(**row._mapping) for row in rows)
