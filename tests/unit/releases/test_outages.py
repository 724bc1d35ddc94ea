"""What a store bears: killed processes, a held lock, a missing or foreign file, a wrong URL."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from pirta.errors import ReleaseError, SettingsError, UnavailableError
from pirta.releases import database as database_module
from pirta.releases.store import ReleaseStore
from tests.unit.releases.examples import Hands, bring_to, make_release, start_python

IN_A_TRANSACTION = """
import sys, time
from sqlalchemy import text
from pirta.releases.database import Database
with Database(sys.argv[1]).write() as transaction:
    transaction.hold_switch()
    for sql in ("UPDATE release SET state = 'staged' WHERE state = 'active'",
                "UPDATE activation SET release_id = NULL, version = 99", "DELETE FROM lease"):
        transaction.connection.execute(text(sql))
    print("inside", flush=True)
    time.sleep(600)
"""


def test_a_process_that_is_killed_inside_a_transaction_leaves_nothing_of_it(
    store: ReleaseStore, url: str
) -> None:
    release_id = bring_to(store, make_release(), "active")
    store.begin_request("r-1", ttl_s=60)
    before = (store.list(), store.active(), store.events())
    with start_python(IN_A_TRANSACTION, url) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "inside\n"
        assert (store.list(), store.active(), store.events()) == before  # readers do not wait
        process.kill()
    assert store.begin_request("r-2", ttl_s=60).release.release_id == release_id
    assert (store.list(), store.active(), store.events()) == before
    assert store.in_flight(release_id) == 2


def test_a_store_that_somebody_holds_for_too_long_is_unavailable_and_comes_back(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_module, "BUSY_TIMEOUT_S", 0.3)
    store = ReleaseStore(url)
    bring_to(store, make_release(), "active")
    with start_python(IN_A_TRANSACTION, url) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "inside\n"
        with pytest.raises(UnavailableError, match=r"does not answer: .*lock(ed)?\b"):
            store.begin_request("r-1", ttl_s=60)
        process.kill()
    store.begin_request("r-1", ttl_s=60)
    store.close()


def test_everything_is_there_after_the_store_is_opened_again(
    store: ReleaseStore, url: str, hands: Hands
) -> None:
    release_id = bring_to(store, make_release(), "active")
    ticket = store.begin_request("r-1", ttl_s=60)
    store.withdraw("c-1", reason="wrong label", actor="ann")
    state = (store.list(), store.active(), store.events(), store.withdrawn())
    store.close()
    again = ReleaseStore(url, clock=hands)
    again.migrate()
    assert (again.list(), again.active(), again.events(), again.withdrawn()) == state
    assert again.in_flight(release_id) == 1
    assert again.begin_request("r-2", ttl_s=60).release == ticket.release
    again.close()


def test_a_folder_that_is_not_there_is_said_and_the_store_comes_when_it_does(
    tmp_path: Path,
) -> None:
    store = ReleaseStore(f"sqlite:///{tmp_path / 'later' / 'releases.db'}")
    with pytest.raises(UnavailableError, match=r"unable to open database file.*folder exists"):
        store.migrate()
    (tmp_path / "later").mkdir()
    store.migrate()
    assert store.list() == ()
    store.close()


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "releases.db"
    path.write_bytes(b"PK\x03\x04 something else entirely" * 100)
    store = ReleaseStore(f"sqlite:///{path}")
    with pytest.raises(UnavailableError, match="file is not a database"):
        store.migrate()
    store.close()


def test_another_programs_database_is_told_from_an_empty_one(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)")
    connection.execute("INSERT INTO alembic_version VALUES ('e5ebf2cd4861')")
    connection.commit()
    connection.close()
    store = ReleaseStore(f"sqlite:///{path}")
    with pytest.raises(ReleaseError, match="revision e5ebf2cd4861"):
        store.migrate()
    store.close()


@pytest.mark.parametrize(
    "url",
    [
        "",
        "releases.db",
        "sqlite://",
        "sqlite:///:memory:",
        "mysql://user:hunter2@db/releases",
        "nonsense://hunter2",
    ],
)
def test_a_url_that_cannot_hold_the_store_is_refused_without_its_secrets(url: str) -> None:
    with pytest.raises(SettingsError, match=r"releases\.store_url") as caught:
        ReleaseStore(url)
    assert "sqlite:///FILE" in caught.value.remedy
    assert "hunter2" not in str(caught.value)


def test_a_server_that_is_not_there_is_unavailable_without_its_password(tmp_path: Path) -> None:
    pytest.importorskip("psycopg", reason="the extra `postgres` is not installed")
    store = ReleaseStore(f"postgresql://user:hunter2@/releases?host={tmp_path}")
    assert store.name == f"releases on {tmp_path}"
    for call in (store.migrate, store.list, lambda: store.begin_request("r-1", ttl_s=60)):
        with pytest.raises(UnavailableError, match="does not answer") as caught:
            call()
        assert "hunter2" not in str(caught.value)
    store.close()
