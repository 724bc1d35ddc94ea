"""Transactions on the release store's database: SQLite in a file, or PostgreSQL.

Both behave alike to what stands above. A step of the life cycle holds the switch for itself, a
request shares it, so that switches, withdrawals and requests have an order. On PostgreSQL that is
an advisory lock, whose queue is fair and which writes nothing (a row that is locked FOR SHARE is
written to, and a steady stream of sharers kept a switch waiting for seconds); SQLite gets there
with its single writer. The clock is the one that all parties share: the server's on
PostgreSQL, whose clients sit on many machines, and this machine's on SQLite, whose clients all
sit here. What the database says is never shown with its URL or its parameters.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Connection, Engine, create_engine, event, func, select
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import (
    ArgumentError,
    DataError,
    DBAPIError,
    IntegrityError,
    TimeoutError,
)

from pirta.errors import SettingsError
from pirta.releases.database_errors import store_error

# No step waits longer for another one, nor for a connection.
BUSY_TIMEOUT_S = 5.0
# On PostgreSQL besides: no statement runs longer, its wait for a lock included; no process that was
# stopped inside a transaction holds the switch for longer; a server that fell silent, or a network
# that lost it, is given up.
STATEMENT_TIMEOUT_S = 10.0
IDLE_TRANSACTION_TIMEOUT_S = 15.0
SILENT_SERVER_TIMEOUT_S = 10.0
POOL_SIZE = 8
LOG_PAGES_AT_MOST = 20_000  # 80 MB; `tidy` empties the log long before
TIDY_EVERY_S = 5.0

Clock = Callable[[], datetime]

_SWITCH = 0x7377746368  # the advisory lock's key; any number that is ours
_HOLD = select(func.pg_advisory_xact_lock(_SWITCH))
_SHARE = select(func.pg_advisory_xact_lock_shared(_SWITCH))


@dataclass(frozen=True)
class Transaction:
    """One transaction under way. `execute` what you like on its connection; it ends as a whole."""

    connection: Connection
    clock: Clock | None

    def now(self) -> datetime:
        """Return the time on the store's clock."""
        if self.clock is not None:
            return self.clock()
        if self.connection.dialect.name == "sqlite":
            return datetime.now(UTC)
        # Not now(), which stands still at the transaction's start, before it waited for a lock.
        at = self.connection.execute(select(func.clock_timestamp())).scalar_one()
        assert isinstance(at, datetime)
        return at.astimezone(UTC)

    def hold_switch(self) -> None:
        """Be the only one, until the end, who changes releases or withdraws cases."""
        if self.connection.dialect.name == "postgresql":
            self.connection.execute(_HOLD)

    def share_switch(self) -> None:
        """Let no release and no withdrawal change until the end; other requests may share."""
        if self.connection.dialect.name == "postgresql":
            self.connection.execute(_SHARE)


class Database:
    """An address, and the transactions on it. Nothing is opened before the first one."""

    def __init__(self, url: str, *, clock: Clock | None = None) -> None:
        self._engine = _make_engine(url)
        self._clock = clock
        self.is_sqlite = self._engine.dialect.name == "sqlite"
        # SQLite's own waiting sleeps in growing steps; threads of one process wait their turn here.
        self._turn = threading.Lock() if self.is_sqlite else nullcontext()

    @property
    def name(self) -> str:
        """What tells one store from another, without user and password: its file, or its server."""
        url = self._engine.url
        if self.is_sqlite:
            return str(url.database)
        return f"{url.database} on {url.host or url.query.get('host', 'this machine')}"

    @property
    def engine(self) -> Engine:
        """The engine, for migrations."""
        return self._engine

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        """Yield a transaction that sees one state of the store and changes nothing.

        Raises:
            UnavailableError: the store does not answer.
            ReleaseError: it lacks its tables.
        """
        with self._transaction({"sqlite_begin": "BEGIN"}) as connection:
            yield Transaction(connection, self._clock)

    @contextmanager
    def write(self, *, durable: bool = True) -> Iterator[Transaction]:
        """Yield a transaction that is kept as a whole, or not at all where the block raises.

        Args:
            durable: return only when what was written outlives a power cut; otherwise that may
                take seconds longer. A killed process loses nothing either way.

        Raises:
            UnavailableError: the store does not answer, or another one holds it for too long.
            ReleaseError: it lacks its tables.
        """
        options = {"sqlite_begin": "BEGIN IMMEDIATE", "durable": durable}
        with self._turn, self._transaction(options) as connection:
            yield Transaction(connection, self._clock)
        if durable:
            self._sync_log()

    def tidy(self) -> None:
        """Bring SQLite's log into its file, where that was not done for a while; blocks nobody.

        For callers who are in no request's way. PostgreSQL does its own by itself.
        """
        if not self.is_sqlite:
            return
        file = self._file()
        with suppress(FileNotFoundError):  # no log: the file itself holds everything
            log_at_s = file.with_name(f"{file.name}-wal").stat().st_mtime
            if log_at_s - file.stat().st_mtime < TIDY_EVERY_S:
                return  # one of all processes is enough
        with self._transaction({"sqlite_begin": None}) as connection:
            connection.exec_driver_sql("PRAGMA wal_checkpoint(PASSIVE)")

    def _sync_log(self) -> None:
        # A commit waits for no disk, since all other writers would wait with it; this is done
        # after it. PostgreSQL's commit has waited already, and in nobody's way.
        if not self.is_sqlite:
            return
        file = self._file()
        with suppress(FileNotFoundError):
            log = os.open(file.with_name(f"{file.name}-wal"), os.O_RDONLY)
            try:
                os.fdatasync(log)
            finally:
                os.close(log)

    def _file(self) -> Path:
        assert self._engine.url.database is not None
        return Path(self._engine.url.database)

    @contextmanager
    def _transaction(self, options: dict[str, object]) -> Iterator[Connection]:
        try:
            with (
                self._engine.connect() as connection,
                connection.execution_options(**options).begin(),
            ):
                yield connection
        except (IntegrityError, DataError):
            raise  # about what was written, not about the store
        except (DBAPIError, TimeoutError) as error:
            raise store_error(error) from None

    def close(self) -> None:
        """Give all connections back."""
        self._engine.dispose()


def _make_engine(url_text: str) -> Engine:
    url = _checked_url(url_text)
    if url.get_backend_name() == "sqlite":
        engine = create_engine(
            url,
            pool_size=POOL_SIZE,
            max_overflow=4 * POOL_SIZE,
            connect_args={"timeout": BUSY_TIMEOUT_S, "isolation_level": None},
        )
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    try:
        engine = create_engine(
            url,
            pool_size=POOL_SIZE,
            max_overflow=4 * POOL_SIZE,
            pool_pre_ping=True,  # a server that was restarted costs no request
            connect_args=_postgresql_arguments(),
        )
    except ModuleNotFoundError:
        raise SettingsError(
            "A release store on PostgreSQL needs psycopg, which is not installed.",
            remedy="Install it with `pip install 'pirta[postgres]'`.",
        ) from None
    event.listen(engine, "begin", _begin_postgresql)
    return engine


def _postgresql_arguments() -> dict[str, object]:
    """Return what every connection begins with: times within which each wait ends."""
    limits_ms = {
        "lock_timeout": round(BUSY_TIMEOUT_S * 1000),
        "statement_timeout": round(STATEMENT_TIMEOUT_S * 1000),
        "idle_in_transaction_session_timeout": round(IDLE_TRANSACTION_TIMEOUT_S * 1000),
    }
    limits = " ".join(f"-c {name}={value}" for name, value in limits_ms.items())
    return {
        "connect_timeout": round(BUSY_TIMEOUT_S),
        "client_encoding": "utf8",  # a database made without one would answer in bytes
        "options": f"{limits} -c timezone=UTC",
        # Of TCP, and without effect on a Unix socket: a server that vanished sends nothing any
        # more, and without these a request would wait for it for minutes.
        "keepalives": 1,
        "keepalives_idle": round(SILENT_SERVER_TIMEOUT_S / 2),
        "keepalives_interval": 1,
        "keepalives_count": round(SILENT_SERVER_TIMEOUT_S / 2),
        "tcp_user_timeout": round(SILENT_SERVER_TIMEOUT_S * 1000),
    }


def _checked_url(text: str) -> URL:
    try:
        url = make_url(text)
    except ArgumentError:
        raise SettingsError(
            "releases.store_url is no database URL.",  # not shown: it may hold a password
            remedy="Write sqlite:///FILE or postgresql+psycopg://USER:PASSWORD@HOST/DATABASE.",
        ) from None
    if url.get_backend_name() == "postgresql":
        return url.set(drivername="postgresql+psycopg")
    if url.get_backend_name() != "sqlite" or not url.database or url.database == ":memory:":
        raise SettingsError(
            f"releases.store_url names {url.get_backend_name()}"
            f"{' without a file' if url.get_backend_name() == 'sqlite' else ''}, "
            "which cannot hold the releases for several processes.",
            remedy="Write sqlite:///FILE or postgresql+psycopg://USER:PASSWORD@HOST/DATABASE.",
        )
    return url


def _prepare_sqlite(connection: object, record: object) -> None:
    del record
    cursor = connection.cursor()  # type: ignore[attr-defined]  # the driver's, untyped in events
    cursor.execute("PRAGMA journal_mode = WAL")  # readers and the writer do not wait for each other
    cursor.execute("PRAGMA synchronous = NORMAL")  # `_sync_log` waits, not the writer
    cursor.execute(f"PRAGMA wal_autocheckpoint = {LOG_PAGES_AT_MOST}")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    # A writer that read first could not become one any more when another came in between, so
    # writers say BEGIN IMMEDIATE. A checkpoint cannot run in a transaction.
    begin = connection.get_execution_options().get("sqlite_begin", "BEGIN")
    if begin is not None:
        connection.exec_driver_sql(begin)


def _begin_postgresql(connection: Connection) -> None:
    if connection.get_execution_options().get("durable") is False:
        connection.exec_driver_sql("SET LOCAL synchronous_commit = off")
