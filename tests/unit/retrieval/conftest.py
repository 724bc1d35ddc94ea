"""One milvus-lite server for the room's tests, and a new collection name for each test."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pirta.retrieval.lite_server import LiteServer, start_lite_server
from pirta.retrieval.milvus import MilvusIndex


@pytest.fixture(scope="session")
def free_port() -> Callable[[], int]:
    def find() -> int:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            return int(probe.getsockname()[1])

    return find


@pytest.fixture(scope="session")
def server(
    tmp_path_factory: pytest.TempPathFactory, free_port: Callable[[], int]
) -> Iterator[LiteServer]:
    folder: Path = tmp_path_factory.mktemp("milvus") / "data"
    with start_lite_server(folder, free_port()) as running:
        yield running


@pytest.fixture(scope="session")
def milvus(server: LiteServer) -> MilvusIndex:
    return MilvusIndex(server.uri, timeout_s=10.0)


@pytest.fixture
def collection(new_name: Callable[[], str]) -> str:
    return new_name()
