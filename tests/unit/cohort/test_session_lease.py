"""Sessions on a store: one at a time, and what a killed one leaves keeps nobody out for long."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from pirta.cohort.session_lease import SESSION, Lease, hold_store
from pirta.errors import StoreError


def _change(root: Path, **fields: Any) -> None:
    """Make the session on a store another one's."""
    path = root / SESSION
    path.write_text(json.dumps({**json.loads(path.read_text()), "session": "other", **fields}))


def _other_session(root: Path, **fields: Any) -> None:
    """Leave the session of a process of this host that goes on: the one that started this one."""
    Lease(str(root)).take()
    parent = psutil.Process().parent()
    assert parent is not None
    started = {"pid": parent.pid, "process_started": parent.create_time()}
    _change(root, **{**started, **fields})


def _is_refused(root: Path) -> bool:
    try:
        with hold_store(str(root)):
            return False
    except StoreError as error:
        return error.message.startswith("Another session works on this output")


def test_a_session_leaves_the_store_as_it_found_it(tmp_path: Path) -> None:
    for _ in range(2):
        with hold_store(str(tmp_path / "out")):
            assert (tmp_path / "out" / SESSION).exists()
        assert not (tmp_path / "out" / SESSION).exists()


def test_a_second_session_is_refused_with_whose_the_store_is(tmp_path: Path) -> None:
    _other_session(tmp_path)
    with pytest.raises(StoreError, match=f"process {os.getppid()} on .*, last seen") as caught:
        Lease(str(tmp_path)).take()
    assert "given up after 5 minutes" in caught.value.remedy
    assert json.loads((tmp_path / SESSION).read_text())["session"] == "other"


@pytest.mark.parametrize(
    ("fields", "is_refused"),
    [
        ({}, True),
        ({"host": "another"}, True),
        ({"host": "another", "pid": 0}, True),
        ({"host": "another", "alive_at": time.time() - 3600}, False),
        ({"alive_at": time.time() - 3600}, False),
        ({"process_started": 1.0}, False),  # its number was given to a later process
        ({"pid": os.getpid()}, False),
        ({"alive_at": None}, False),
    ],
)
def test_a_session_counts_while_its_process_lives_or_was_heard_of(
    tmp_path: Path, fields: dict[str, Any], is_refused: bool
) -> None:
    _other_session(tmp_path, **fields)
    assert _is_refused(tmp_path) == is_refused


def test_a_killed_process_keeps_nobody_out(tmp_path: Path) -> None:
    code = (
        "import os, sys; from pirta.cohort.session_lease import Lease\n"
        "Lease(sys.argv[1]).take(); os.kill(os.getpid(), 9)"
    )
    killed = subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    assert killed.returncode == -9
    assert (tmp_path / SESSION).exists()
    assert not _is_refused(tmp_path)


def test_a_damaged_file_keeps_nobody_out(tmp_path: Path) -> None:
    for text in ("", "{", "[]", '{"pid": "x"}'):
        (tmp_path / SESSION).write_text(text)
        assert not _is_refused(tmp_path)


def _takes_over(root: Path) -> None:
    _change(root, host="another")


def _vanishes(root: Path) -> None:
    (root / SESSION).unlink()


@pytest.mark.parametrize(
    ("happens", "told"), [(_takes_over, "Another session works"), (_vanishes, "has vanished")]
)
def test_a_session_that_lost_its_store_finds_out_and_leaves_it_alone(
    tmp_path: Path, happens: Callable[[Path], None], told: str
) -> None:
    with hold_store(str(tmp_path), renewal_s=0.01) as lease:
        lease.check()
        happens(tmp_path)
        before = sorted(tmp_path.iterdir())
        with pytest.raises(StoreError, match=told):
            _wait_and_check(lease)
    assert sorted(tmp_path.iterdir()) == before


def _wait_and_check(lease: Lease) -> None:
    ends = time.monotonic() + 5
    while time.monotonic() < ends:
        lease.check()
        time.sleep(0.01)


def test_a_session_that_goes_on_is_heard_of_again_and_again(tmp_path: Path) -> None:
    with hold_store(str(tmp_path), renewal_s=0.01):
        first = json.loads((tmp_path / SESSION).read_text())["alive_at"]
        ends = time.monotonic() + 5
        while json.loads((tmp_path / SESSION).read_text())["alive_at"] == first:
            assert time.monotonic() < ends
            time.sleep(0.01)
