"""The first form of the release store."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "r0001"
down_revision = None

_UTC = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Make all tables, and the one row of `activation`."""
    _make_releases()
    _make_requests()
    op.create_table(
        "replica",
        sa.Column("replica_id", sa.Text, nullable=False),
        sa.Column("deployment", sa.Text, nullable=False),
        sa.Column("beat_at", _UTC, nullable=False),
        sa.Column("loads", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("replica_id", name="pk_replica"),
    )
    op.create_table(
        "event",
        sa.Column("event_id", sa.Integer, nullable=False),
        sa.Column("at", _UTC, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("step", sa.Text, nullable=False),
        sa.Column("release_id", sa.Text),
        sa.Column("detail", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("event_id", name="pk_event"),
    )
    op.create_index("ix_event_release_id", "event", ["release_id"])


def downgrade() -> None:
    """Take the tables away, and everything in them."""
    for table in (
        "event", "replica", "withdrawal", "citation", "lease", "activation", "gate_result",
        "release",
    ):  # fmt: skip
        op.drop_table(table)


def _make_releases() -> None:
    op.create_table(
        "release",
        sa.Column("release_id", sa.Text, nullable=False),
        sa.Column("content", sa.Text, nullable=False),
        sa.Column("collection", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("pinned", sa.Boolean, nullable=False),
        sa.Column("created_at", _UTC, nullable=False),
        sa.PrimaryKeyConstraint("release_id", name="pk_release"),
    )
    op.create_index("ix_release_collection", "release", ["collection"])
    active = sa.text("state = 'active'")
    op.create_index(
        "uq_release_active",
        "release",
        ["state"],
        unique=True,
        sqlite_where=active,
        postgresql_where=active,
    )
    op.create_table(
        "gate_result",
        sa.Column("release_id", sa.Text, nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("content", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("release_id", "position", name="pk_gate_result"),
        _to_release("gate_result", "release_id"),
    )
    activation = op.create_table(
        "activation",
        sa.Column("row_id", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("release_id", sa.Text),
        sa.Column("previous_release_id", sa.Text),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("at", _UTC),
        sa.PrimaryKeyConstraint("row_id", name="pk_activation"),
        _to_release("activation", "release_id"),
        _to_release("activation", "previous_release_id"),
    )
    op.bulk_insert(activation, [{"row_id": 1, "version": 0, "actor": ""}])


def _make_requests() -> None:
    op.create_table(
        "lease",
        sa.Column("request_id", sa.Text, nullable=False),
        sa.Column("release_id", sa.Text, nullable=False),
        sa.Column("expires_at", _UTC, nullable=False),
        sa.PrimaryKeyConstraint("request_id", name="pk_lease"),
        _to_release("lease", "release_id"),
    )
    op.create_index("ix_lease_release_id", "lease", ["release_id"])
    op.create_table(
        "citation",
        sa.Column("request_id", sa.Text, nullable=False),
        sa.Column("case_id", sa.Text, nullable=False),
        sa.Column("study_id", sa.Text, nullable=False),
        sa.Column("release_id", sa.Text),
        sa.Column("at", _UTC, nullable=False),
        sa.PrimaryKeyConstraint("request_id", "case_id", name="pk_citation"),
    )
    op.create_index("ix_citation_case_id", "citation", ["case_id"])
    op.create_table(
        "withdrawal",
        sa.Column("case_id", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("at", _UTC, nullable=False),
        sa.PrimaryKeyConstraint("case_id", name="pk_withdrawal"),
    )


def _to_release(table: str, column: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], ["release.release_id"], name=f"fk_{table}_{column}")
