"""The index in a real Milvus: the whole contract, writers and readers apart, and a crash.

Skipped where the wheel `milvus` is not installed: it is made for Linux on x86_64 only.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from bench.standalone_milvus import StandaloneMilvus, is_installed
from pirta.contracts.encoding import SearchRequest
from pirta.errors import UnavailableError
from pirta.retrieval.index import Index
from pirta.retrieval.milvus import MilvusIndex
from tests.index_contract.rows import DIMENSIONS, make_row, names, unit
from tests.index_contract.searching import SearchContract
from tests.index_contract.storing import StorageContract

pytestmark = pytest.mark.skipif(
    not is_installed(), reason="no real Milvus here: its wheel is for Linux on x86_64 only"
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandaloneMilvus]:
    with StandaloneMilvus(tmp_path_factory.mktemp("milvus")) as running:
        yield running


@pytest.fixture(scope="module")
def milvus(server: StandaloneMilvus) -> MilvusIndex:
    return MilvusIndex(server.uri, timeout_s=60.0)


@pytest.fixture
def collection(new_name: Callable[[], str]) -> str:
    return new_name()


class TestMilvus(SearchContract, StorageContract):
    @pytest.fixture(scope="class")
    @classmethod
    def index(cls, milvus: MilvusIndex) -> Index:
        return milvus


def test_whoever_asks_sees_what_was_upserted_before(
    server: StandaloneMilvus, milvus: MilvusIndex, collection: str
) -> None:
    milvus.create(collection, DIMENSIONS)
    reader = MilvusIndex(server.uri, timeout_s=60.0)  # shares no session with the writer
    for at in range(30):
        milvus.upsert(collection, [make_row(f"c{at:02}", unit(1, at / 100))])
        assert len(names(reader, collection, unit(1), top_k=100)) == at + 1
        assert reader.count(collection) == at + 1


def test_a_crash_loses_no_row_and_is_told_in_time(
    server: StandaloneMilvus, milvus: MilvusIndex, collection: str
) -> None:
    milvus.create(collection, DIMENSIONS)
    milvus.upsert(collection, [make_row(f"c{at:03}", unit(1, at / 100)) for at in range(100)])
    request = SearchRequest("rel-0", collection, unit(1), 3)
    before = milvus.search(request)
    hasty = MilvusIndex(server.uri, timeout_s=2.0)
    assert hasty.search(request) == before
    server.kill()
    started = time.monotonic()
    with pytest.raises(UnavailableError):
        hasty.search(request)
    assert time.monotonic() - started < 4
    server.start()
    deadline = time.monotonic() + 90
    while True:
        try:
            assert hasty.search(request) == before
            break
        except UnavailableError:
            assert time.monotonic() < deadline, "the index comes back by itself"
            time.sleep(0.2)
    assert milvus.count(collection) == 100
