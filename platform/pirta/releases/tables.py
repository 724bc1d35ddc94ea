"""The tables of the release store.

`release` and `gate_result` hold the records, `activation` the one row that says which release is
active, `lease` the requests under way, `citation` and `withdrawal` which study cited which case
and what nobody may see any more, `replica` who lives and what it has loaded, `event` who did
what. Ids are pseudonyms; no patient's data lies here. `pirta.releases.migrations` makes the same
tables on disk; a test compares the two.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import DateTime, Dialect, ForeignKey, Index, MetaData, Table, Text, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeDecorator

THE_ROW = 1  # `activation` has one row for ever, made with the table


class UtcTime(TypeDecorator[datetime]):
    """A point in time, in UTC on both sides; SQLite keeps no zone and would give it back naive."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse a time without a zone by turning it: `astimezone` would take it as local."""
        del dialect
        assert value is None or value.tzinfo is not None, "times carry their zone"
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:
        """Give SQLite's naive times their zone back."""
        del dialect
        if value is None:
            return None
        assert isinstance(value, datetime)
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Base(DeclarativeBase):
    """All tables; constraints are named, so that a migration can name them."""

    metadata = MetaData(
        naming_convention={
            "pk": "pk_%(table_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "ix": "ix_%(table_name)s_%(column_0_name)s",
            "uq": "uq_%(table_name)s_%(column_0_name)s",
        }
    )
    type_annotation_map = {str: Text(), datetime: UtcTime()}  # noqa: RUF012 (SQLAlchemy's own name)


class ReleaseRow(Base):
    """A release; `content` is its record as JSON, `state` one of `states.State`."""

    __tablename__ = "release"
    __table_args__ = (
        Index(
            "uq_release_active",
            "state",
            unique=True,
            sqlite_where=text("state = 'active'"),
            postgresql_where=text("state = 'active'"),
        ),
        Index("ix_release_collection", "collection"),
    )

    release_id: Mapped[str] = mapped_column(primary_key=True)
    content: Mapped[str]
    collection: Mapped[str]
    state: Mapped[str]
    pinned: Mapped[bool]
    created_at: Mapped[datetime]


class GateRow(Base):
    """One gate's result of the last verification; `position` keeps the order of the gates."""

    __tablename__ = "gate_result"

    release_id: Mapped[str] = mapped_column(ForeignKey("release.release_id"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    content: Mapped[str]


class ActivationRow(Base):
    """The one row that a switch changes; `version` counts the switches, 0 before the first."""

    __tablename__ = "activation"

    row_id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    release_id: Mapped[str | None] = mapped_column(ForeignKey("release.release_id"))
    previous_release_id: Mapped[str | None] = mapped_column(ForeignKey("release.release_id"))
    version: Mapped[int]
    actor: Mapped[str]
    at: Mapped[datetime | None]


class LeaseRow(Base):
    """A request under way; it counts until `expires_at`, whatever became of its gateway."""

    __tablename__ = "lease"

    request_id: Mapped[str] = mapped_column(primary_key=True)
    release_id: Mapped[str] = mapped_column(ForeignKey("release.release_id"), index=True)
    expires_at: Mapped[datetime]


class CitationRow(Base):
    """A case that a report cited. The release is unknown where the request outlived its lease."""

    __tablename__ = "citation"

    request_id: Mapped[str] = mapped_column(primary_key=True)
    case_id: Mapped[str] = mapped_column(primary_key=True, index=True)
    study_id: Mapped[str]
    release_id: Mapped[str | None]
    at: Mapped[datetime]


class WithdrawalRow(Base):
    """A case that no search may bring back any more."""

    __tablename__ = "withdrawal"

    case_id: Mapped[str] = mapped_column(primary_key=True)
    reason: Mapped[str]
    actor: Mapped[str]
    at: Mapped[datetime]


class ReplicaRow(Base):
    """A replica's last beat; `loads` is JSON, release id to `stored.Load`."""

    __tablename__ = "replica"

    replica_id: Mapped[str] = mapped_column(primary_key=True)
    deployment: Mapped[str]
    beat_at: Mapped[datetime]
    loads: Mapped[str]


class EventRow(Base):
    """What somebody did; only ever added to."""

    __tablename__ = "event"

    event_id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime]
    actor: Mapped[str]
    step: Mapped[str]
    release_id: Mapped[str | None] = mapped_column(index=True)
    detail: Mapped[str]


def table_of(row: type[Base]) -> Table:
    """Return the plain table behind a class; statements on it are cheaper to run."""
    table = row.__table__
    assert isinstance(table, Table)
    return table
