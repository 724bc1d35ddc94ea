"""The embedded server for real: restarted, hanging, killed."""

from __future__ import annotations

import os
import signal
import socket
import time
from pathlib import Path

import pytest

from pirta.contracts.encoding import SearchRequest
from pirta.contracts.report import RetrievedCase
from pirta.errors import UnavailableError
from pirta.retrieval.lite_server import start_lite_server
from pirta.retrieval.milvus import MilvusIndex
from tests.index_contract.rows import DIMENSIONS, make_row, unit

ROW = make_row("c", unit(1))
REQUEST = SearchRequest("rel-0", "cases", unit(1), 1)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_the_index_is_there_again_after_a_restart(tmp_path: Path) -> None:
    port = free_port()
    with start_lite_server(tmp_path / "data", port) as server:
        index = MilvusIndex(server.uri, timeout_s=2.0)
        index.create("cases", DIMENSIONS)
        index.upsert("cases", [ROW])
        assert len(index.search(REQUEST)) == 1
    with pytest.raises(UnavailableError):
        index.search(REQUEST)
    with start_lite_server(tmp_path / "data", port):
        assert len(_search_within(index, seconds=10)) == 1
        assert index.count("cases") == 1


def _search_within(index: MilvusIndex, *, seconds: float) -> tuple[RetrievedCase, ...]:
    """gRPC waits a second or so before it tries a lost server again."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return index.search(REQUEST)
        except UnavailableError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def test_a_server_that_hangs_is_unavailable_in_time(tmp_path: Path) -> None:
    with start_lite_server(tmp_path / "data", free_port()) as server:
        index = MilvusIndex(server.uri, timeout_s=0.5)
        index.create("cases", DIMENSIONS)
        os.kill(server.pid, signal.SIGSTOP)
        try:
            started = time.monotonic()
            with pytest.raises(UnavailableError):
                index.search(REQUEST)
            assert time.monotonic() - started < 5
        finally:
            os.kill(server.pid, signal.SIGCONT)


def test_a_stopped_server_stays_stopped(tmp_path: Path) -> None:
    with start_lite_server(tmp_path / "data", free_port()) as server:
        os.kill(server.pid, signal.SIGKILL)
    server.stop()
    with pytest.raises(ProcessLookupError):
        os.kill(server.pid, 0)
