"""One milvus-lite server for the room's tests, and a new collection name for each test."""

from __future__ import annotations

import itertools
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pirta.retrieval.exact import ExactIndex
from pirta.retrieval.index import Index
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
    return MilvusIndex(server.uri, timeout_s=5.0)


@pytest.fixture(params=["exact", "milvus"])
def index(request: pytest.FixtureRequest) -> Index:
    if request.param == "exact":
        return ExactIndex()
    found: MilvusIndex = request.getfixturevalue("milvus")
    return found


@pytest.fixture(scope="session")
def _numbers() -> Iterator[int]:
    return itertools.count()


@pytest.fixture
def collection(_numbers: Iterator[int]) -> str:
    return f"test_{next(_numbers)}"
