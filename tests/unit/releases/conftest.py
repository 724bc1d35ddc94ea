"""The store on both of its databases: a SQLite file, and a PostgreSQL server of the session's own.

The server is started from the machine's PostgreSQL programs on a Unix socket, without network;
where there are none, its half of the tests says so and is skipped.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from pirta.releases.store import ReleaseStore
from tests.unit.releases.examples import Hands

NewUrl = Callable[[], str]


def _programs() -> Path | None:
    """Return the folder of PostgreSQL's server programs; Debian keeps them off the PATH."""
    found = shutil.which("initdb")
    folders = [Path(found).resolve().parent] if found else []
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((folder for folder in folders if (folder / "pg_ctl").is_file()), None)


def _unprivileged_user() -> str | None:
    """Return whom the server runs as: it refuses root."""
    if os.geteuid() != 0:
        return None
    names = {user.pw_name for user in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[NewUrl]:
    """Start a server; yields a function that returns the URL of an empty store."""
    programs = _programs()
    if programs is None:
        pytest.skip("no PostgreSQL server programs (initdb, pg_ctl) on this machine")
    user = _unprivileged_user()
    # Not pytest's own folder: its parents are closed to other users, and long for a socket.
    with tempfile.TemporaryDirectory(prefix="pirta-pg-") as name:
        folder = Path(name)
        if user is not None:
            shutil.chown(folder, user)

        def run(program: str, *words: str) -> None:
            with (folder / "programs.log").open("ab") as log:  # a pipe would stay the server's
                subprocess.run(
                    [str(programs / program), "-D", str(folder / "data"), *words],
                    check=True,
                    user=user,
                    cwd=folder,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"},
                    timeout=120,
                )

        run("initdb", "-U", "pirta", "--auth=trust", "--no-sync", "--encoding=UTF8")
        options = f"-k {folder} -c listen_addresses='' -c max_connections=200 -c fsync=off"
        run("pg_ctl", "-w", "-t", "60", "-l", str(folder / "server.log"), "-o", options, "start")
        numbers = count(1)

        engine = create_engine(f"postgresql+psycopg://pirta@/postgres?host={folder}")

        def new_url() -> str:
            # A user's own schema comes first for him; a database a test would be 7 MB a test.
            name = f"user_{next(numbers)}"
            with engine.begin() as connection:
                connection.execute(text(f"CREATE ROLE {name} LOGIN"))
                connection.execute(text(f"CREATE SCHEMA AUTHORIZATION {name}"))
            return f"postgresql://{name}@/postgres?host={folder}"

        try:
            yield new_url
        finally:
            engine.dispose()
            run("pg_ctl", "-m", "immediate", "-w", "stop")


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database without tables."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'releases.db'}"
    new_url: NewUrl = request.getfixturevalue("postgresql_server")
    return new_url()


@pytest.fixture
def url(empty_url: str) -> str:
    """The URL of a store with its tables."""
    store = ReleaseStore(empty_url)
    store.migrate()
    store.close()
    return empty_url


@pytest.fixture
def hands() -> Hands:
    """The clock of `store`."""
    return Hands()


@pytest.fixture
def store(url: str, hands: Hands) -> Iterator[ReleaseStore]:
    """An empty store whose clock the test moves."""
    store = ReleaseStore(url, clock=hands)
    yield store
    store.close()
