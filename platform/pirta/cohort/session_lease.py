"""One session at a time on a store: a file that says who works there, and when it last did.

    session.json    session, host, pid, when that process started, when the session was last alive

The session that holds a store renews the file every half minute from a thread. A session whose
file is five minutes old, or whose process is gone from this very host, counts as ended: it was
killed. Storage has no locks that all of it shares, so two sessions that begin in the same moment
may both get in; the one whose file was overwritten finds that out at its next renewal, and before
it writes the tables. Clocks of hosts may differ by some minutes.
"""

from __future__ import annotations

import json
import os
import platform
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psutil

from pirta.cohort.store_files import join, read_whole, remove, write_whole
from pirta.errors import StoreError

SESSION = "session.json"
RENEWAL_S = 30.0
STALE_AFTER_S = 300.0
_SAME_START_S = 60.0  # the system's own idea of when a process began moves with its clock


class Lease:
    """The right to fill a store, until it is lost to another session."""

    def __init__(self, root: str) -> None:
        self._path = join(root, SESSION)
        self._session = uuid.uuid4().hex
        self._lost: StoreError | None = None

    def take(self) -> None:
        """Write the session's file.

        Raises:
            StoreError: another session works here, or the file cannot be written.
        """
        other = _read(self._path)
        if other is not None and _is_alive(other):
            raise _occupied(other)
        self._write()
        self.renew()
        self.check()

    def renew(self) -> None:
        """Write the session's file again, unless it is gone or another's."""
        found = _read(self._path)
        if found is None:
            self._lost = StoreError(
                "The output has vanished while the run went on.",
                remedy="Make it reachable again, then run the same command.",
            )
        elif found.get("session") != self._session:
            self._lost = _occupied(found)
        else:
            self._write()

    def check(self) -> None:
        """Refuse to go on where the store was lost.

        Raises:
            StoreError: another session took it over, or it has vanished.
        """
        if self._lost is not None:
            raise self._lost

    def give_back(self) -> None:
        """Remove the session's file, if it is still this one's."""
        found = _read(self._path)
        if found is not None and found.get("session") == self._session:
            remove(self._path)

    def _write(self) -> None:
        process = psutil.Process()
        record = {
            "session": self._session,
            "host": _host(),
            "pid": process.pid,
            "process_started": process.create_time(),
            "alive_at": time.time(),
        }
        write_whole(self._path, json.dumps(record).encode())


@contextmanager
def hold_store(root: str, *, renewal_s: float = RENEWAL_S) -> Iterator[Lease]:
    """Keep other sessions off a store while the block runs.

    Raises:
        StoreError: another session works here, or the store cannot be written.
    """
    lease, ended = Lease(root), threading.Event()
    lease.take()
    keeper = threading.Thread(target=_keep, args=(lease, ended, renewal_s), daemon=True)
    keeper.start()
    try:
        yield lease
    finally:
        ended.set()
        keeper.join()
        with suppress(StoreError):  # the block's own error tells; the file goes stale by itself
            lease.give_back()


def _keep(lease: Lease, ended: threading.Event, renewal_s: float) -> None:
    while not ended.wait(renewal_s):
        with suppress(StoreError):  # storage may fail for a moment; what lasts, the run meets too
            lease.renew()


def _read(path: str) -> dict[str, Any] | None:
    """Return a session's record, None where there is none, or none that can be read."""
    data = read_whole(path)
    try:
        record = json.loads(data) if data is not None else None
    except ValueError:
        return None
    return record if isinstance(record, dict) else None


def _is_alive(other: dict[str, Any]) -> bool:
    if _age_s(other) > STALE_AFTER_S:
        return False
    if other.get("host") != _host():
        return True
    pid = other.get("pid")
    if not isinstance(pid, int) or pid == os.getpid():
        return False  # of this process: a session that ended without giving back
    try:
        process = psutil.Process(pid)
        started_s = abs(process.create_time() - float(other.get("process_started") or 0))
        return started_s < _SAME_START_S and bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _age_s(other: dict[str, Any]) -> float:
    alive_at = other.get("alive_at")
    return time.time() - alive_at if isinstance(alive_at, int | float) else float("inf")


def _host() -> str:
    """Name this host; containers on one host see other processes, so they count as others."""
    try:
        namespace = os.readlink("/proc/self/ns/pid")
    except OSError:
        namespace = ""
    return f"{platform.node()} {namespace}".strip()


def _occupied(other: dict[str, Any]) -> StoreError:
    host = str(other.get("host") or "an unknown host").partition(" ")[0]
    return StoreError(
        f"Another session works on this output: process {other.get('pid')} on {host}, last seen "
        f"{max(0.0, _age_s(other)):.0f} s ago.",
        remedy="Wait for it to end, or end it, then run the same command; a session that was "
        f"killed on another host is given up after {STALE_AFTER_S / 60:.0f} minutes.",
    )
