"""Who lives, and which releases each replica has loaded: the beats that staging waits for.

A replica that was not heard of for a while counts as gone; it says nothing about itself that has
to be taken back when it is killed.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from pydantic import TypeAdapter
from sqlalchemy import delete, select
from sqlalchemy.dialects import postgresql, sqlite

from pirta.releases.database import Database
from pirta.releases.stored import Load, Replica
from pirta.releases.tables import LeaseRow, ReplicaRow, table_of

FORGOTTEN_AFTER = timedelta(days=1)  # the row of a replica that is long gone
# The lease of a request whose gateway was killed. Not at once: a request that outlived its lease
# still ends, and its citations name the release by it.
LEASE_FORGOTTEN_AFTER = timedelta(hours=1)

_LOADS = TypeAdapter(dict[str, Load])


def beat(database: Database, replica_id: str, deployment: str, loads: Mapping[str, Load]) -> None:
    """Say that a replica lives, and how far it is with each release."""
    text = _LOADS.dump_json(dict(loads)).decode()
    with database.write(durable=False) as transaction:
        connection, now = transaction.connection, transaction.now()
        on = postgresql if connection.dialect.name == "postgresql" else sqlite
        values = {"deployment": deployment, "beat_at": now, "loads": text}
        connection.execute(
            on.insert(ReplicaRow)
            .values(replica_id=replica_id, **values)
            .on_conflict_do_update(index_elements=["replica_id"], set_=values)
        )
        connection.execute(delete(ReplicaRow).where(ReplicaRow.beat_at < now - FORGOTTEN_AFTER))
        connection.execute(
            delete(LeaseRow).where(LeaseRow.expires_at < now - LEASE_FORGOTTEN_AFTER)
        )
    database.tidy()  # a beat is in no request's way, and so cleans up


def forget(database: Database, replica_id: str) -> None:
    """Say that a replica ends, so that nobody waits until its last beat is stale."""
    with database.write(durable=False) as transaction:
        transaction.connection.execute(
            delete(ReplicaRow).where(ReplicaRow.replica_id == replica_id)
        )


def read_live(database: Database, *, within_s: float) -> tuple[Replica, ...]:
    """Return the replicas that were heard of within `within_s`, by deployment and id."""
    with database.read() as transaction:
        since = transaction.now() - timedelta(seconds=within_s)
        rows = transaction.connection.execute(
            select(table_of(ReplicaRow))
            .where(ReplicaRow.beat_at >= since)
            .order_by(ReplicaRow.deployment, ReplicaRow.replica_id)
        ).all()
    return tuple(
        Replica(
            replica_id=row.replica_id,
            deployment=row.deployment,
            beat_at=row.beat_at,
            loads=_LOADS.validate_json(row.loads),
        )
        for row in rows
    )
