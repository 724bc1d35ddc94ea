"""The tables on disk: the same as in code, made once, kept by an upgrade, refused when newer."""

from __future__ import annotations

from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import inspect, text

from pirta.errors import ReleaseError
from pirta.releases.database import Database
from pirta.releases.migrate import migrate
from pirta.releases.store import ReleaseStore
from pirta.releases.tables import Base
from tests.unit.releases.examples import bring_to, make_release, start_python

# A later version's step: it copies the table `release` on SQLite, which has three children.
NEXT_STEP = """
import sqlalchemy as sa
from alembic import op

revision = "next"
down_revision = "r0001"


def upgrade():
    with op.batch_alter_table("release", recreate="auto") as batch:
        batch.add_column(sa.Column("note", sa.Text, nullable=False, server_default="none"))
        batch.alter_column("collection", new_column_name="physical_collection")
        batch.alter_column("pinned", server_default=sa.false())
"""
BROKEN_STEP = NEXT_STEP + '    raise RuntimeError("the machine stopped here")\n'


def _later_version(folder: Path, step: str) -> Path:
    folder.mkdir()
    (folder / "next.py").write_text(step, encoding="utf-8")
    return folder


def test_the_steps_make_exactly_the_tables_that_the_code_uses(url: str) -> None:
    database = Database(url)
    with database.read() as transaction:
        context = MigrationContext.configure(
            transaction.connection, opts={"compare_server_default": True}
        )
        assert compare_metadata(context, Base.metadata) == []
    database.close()


def test_to_migrate_again_changes_nothing(url: str) -> None:
    store = ReleaseStore(url)
    release_id = bring_to(store, make_release(), "active")
    store.migrate()
    assert store.get(release_id).state == "active"
    store.close()


def test_rows_and_what_they_point_to_outlive_an_upgrade(url: str, tmp_path: Path) -> None:
    store = ReleaseStore(url)
    release_id = bring_to(store, make_release(), "active")
    store.begin_request("r-1", ttl_s=60)
    store.end_request("r-1", study_id="s-1", cited=["c-1"])
    store.begin_request("r-2", ttl_s=60)
    store.withdraw("c-1", reason="wrong label", actor="ann")
    counts = _counts(url)
    assert all(counts[name] for name in ("release", "gate_result", "lease", "citation"))
    store.close()

    database = Database(url)
    migrate(database, more_versions=[_later_version(tmp_path / "later", NEXT_STEP)])
    assert _counts(url) == counts
    with database.read() as transaction:
        row = transaction.connection.execute(text("SELECT * FROM release")).mappings().one()
    assert row["release_id"] == release_id
    assert (row["physical_collection"], row["note"]) == ("cases_1", "none")
    with database.write() as transaction:
        keys = inspect(transaction.connection).get_foreign_keys("lease")
        assert [key["referred_table"] for key in keys] == ["release"]
        if database.is_sqlite:
            assert not transaction.connection.exec_driver_sql("PRAGMA foreign_key_check").all()
            assert transaction.connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
    database.close()


def test_an_upgrade_that_breaks_off_leaves_the_store_as_it_was(url: str, tmp_path: Path) -> None:
    store = ReleaseStore(url)
    release_id = bring_to(store, make_release(), "active")
    database = Database(url)
    with pytest.raises(RuntimeError, match="stopped here"):
        migrate(database, more_versions=[_later_version(tmp_path / "later", BROKEN_STEP)])
    database.close()
    store.migrate()
    assert store.begin_request("r-1", ttl_s=60).release.release_id == release_id
    store.close()


def test_tables_of_a_newer_version_are_refused_and_left_alone(url: str, tmp_path: Path) -> None:
    database = Database(url)
    migrate(database, more_versions=[_later_version(tmp_path / "later", NEXT_STEP)])
    database.close()
    store = ReleaseStore(url)
    with pytest.raises(ReleaseError, match=r"of the revision next, .* knows r0001\. Update pirta"):
        store.migrate()
    store.close()


def test_a_store_without_tables_says_what_makes_them(empty_url: str) -> None:
    store = ReleaseStore(empty_url)
    for call in (store.list, store.active, lambda: store.begin_request("r-1", ttl_s=60)):
        with pytest.raises(ReleaseError, match=r"no tables yet.*releases\.store_url"):
            call()
    store.close()


MIGRATE = """
import sys
from pirta.releases.store import ReleaseStore
store = ReleaseStore(sys.argv[1])
store.migrate()
print(store.list())
"""


def test_processes_that_start_at_once_make_the_tables_once(empty_url: str) -> None:
    processes = [start_python(MIGRATE, empty_url) for _ in range(3)]
    assert [one.communicate(timeout=120)[0] for one in processes] == ["()\n"] * 3
    assert [one.returncode for one in processes] == [0] * 3


def _counts(url: str) -> dict[str, int]:
    database = Database(url)
    with database.read() as transaction:
        connection = transaction.connection
        counts = {
            name: connection.execute(text(f"SELECT count(*) FROM {name}")).scalar_one()
            for name in Base.metadata.tables
        }
    database.close()
    return counts
