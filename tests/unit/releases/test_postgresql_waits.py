"""On PostgreSQL every wait ends by itself, and what its driver says stays inside."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from psycopg import errors
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, OperationalError

from pirta.errors import UnavailableError
from pirta.releases import database as database_module
from pirta.releases.database import Database
from pirta.releases.database_errors import store_error


@pytest.fixture
def impatient(
    postgresql_server: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Database]:
    """A database whose waits end within half a second."""
    monkeypatch.setattr(database_module, "STATEMENT_TIMEOUT_S", 0.4)
    monkeypatch.setattr(database_module, "IDLE_TRANSACTION_TIMEOUT_S", 0.4)
    database = Database(postgresql_server())
    yield database
    database.close()


def test_a_statement_that_takes_too_long_is_given_up(impatient: Database) -> None:
    with (
        pytest.raises(UnavailableError, match="does not answer: a statement took too long"),
        impatient.write() as transaction,
    ):
        transaction.connection.execute(text("SELECT pg_sleep(60)"))


def test_who_stands_still_inside_a_transaction_loses_the_switch(
    impatient: Database, postgresql_server: Callable[[], str]
) -> None:
    other = Database(postgresql_server())

    def stand_still() -> None:
        with impatient.write() as standing_still:
            standing_still.hold_switch()
            with other.write() as transaction:  # would be refused after five seconds
                transaction.hold_switch()
            standing_still.now()

    with pytest.raises(UnavailableError, match="does not answer"):
        stand_still()
    other.close()


def test_a_server_that_vanished_is_noticed_by_the_network(impatient: Database) -> None:
    with impatient.read() as transaction:
        raw = transaction.connection.connection.dbapi_connection
        assert raw is not None
        told = raw.info.get_parameters()  # type: ignore[attr-defined]
    assert (told["keepalives"], told["tcp_user_timeout"]) == ("1", "10000")
    assert int(told["keepalives_idle"]) + int(told["keepalives_count"]) == 10


@pytest.mark.parametrize(
    ("cause", "told"),
    [
        (errors.OperationalError("connection to db.ward7.example failed: no route"), "connection"),
        (errors.LockNotAvailable("canceling statement: study 17"), "holds its lock"),
        (errors.InvalidPassword('password failed for user "pirta_ward7"'), "password"),
        (errors.DeadlockDetected("Process 12 waits for ShareLock"), "SQLSTATE 40P01"),
    ],
)
def test_what_the_driver_says_goes_to_no_client(cause: Exception, told: str) -> None:
    error: DBAPIError = OperationalError("SELECT 1", {}, cause)
    found = store_error(error)
    assert isinstance(found, UnavailableError)
    assert told in found.message
    for inside in ("ward7", "17", "12 waits"):
        assert inside not in str(found)
