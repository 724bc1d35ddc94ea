"""Bring a release store's tables to the form that this code knows, and never further.

Every process that opens a store calls `migrate` first; of several that start at once one changes
the tables and the others wait. A step is made with Alembic, in `migrations/versions`, and is one
transaction: a process that is killed in it leaves the tables as they were.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError, TimeoutError

from pirta.errors import ReleaseError
from pirta.releases.database import Database
from pirta.releases.database_errors import store_error

MIGRATIONS = Path(__file__).parent / "migrations"
_LOCK_KEY = 0x70697274  # of PostgreSQL's advisory lock; any number that is ours


def migrate(database: Database, *, more_versions: Sequence[Path] = ()) -> None:
    """Make or upgrade the tables; returns at once where they are as they should be.

    Args:
        more_versions: folders with later steps than the shipped ones.

    Raises:
        ReleaseError: the tables are newer than this code.
        UnavailableError: the store does not answer.
    """
    config = _config(more_versions)
    scripts = ScriptDirectory.from_config(config)
    try:
        with database.engine.connect() as connection:
            if _revision(connection) == scripts.get_current_head():
                return
        with _alone(database) as connection:
            _refuse_newer(connection, scripts)
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    except (DBAPIError, TimeoutError) as error:
        raise store_error(error) from None


def _config(more_versions: Sequence[Path]) -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("path_separator", "newline")
    folders = [MIGRATIONS / "versions", *more_versions]
    config.set_main_option("version_locations", "\n".join(str(folder) for folder in folders))
    return config


def _revision(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _refuse_newer(connection: Connection, scripts: ScriptDirectory) -> None:
    revision = _revision(connection)
    known = {script.revision for script in scripts.walk_revisions()}
    if revision is not None and revision not in known:
        raise ReleaseError(
            f"The release store's tables are of the revision {revision}, which this version of "
            f"pirta does not know; it knows {scripts.get_current_head()}.",
            remedy="Update pirta here, or restore the store from before the update.",
        )


@contextmanager
def _alone(database: Database) -> Iterator[Connection]:
    """Yield a connection in a transaction that no other process migrates beside."""
    with database.engine.connect() as connection:
        if database.is_sqlite:
            # SQLite changes a table by copying it, which its children would not survive. Inside a
            # transaction the pragma would do nothing.
            with connection.execution_options(sqlite_begin=None).begin():
                connection.exec_driver_sql("PRAGMA foreign_keys = OFF")
        options = {"sqlite_begin": "BEGIN IMMEDIATE", "durable": True}
        with connection.execution_options(**options).begin():
            if not database.is_sqlite:
                # A large table takes the time that it takes; only the wait for others is bounded.
                connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
                lock = text("SELECT pg_advisory_xact_lock(:key)")
                connection.execute(lock, {"key": _LOCK_KEY})
            yield connection
        if database.is_sqlite:
            connection.invalidate()  # the next one keeps its foreign keys again
