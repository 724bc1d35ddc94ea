"""What the Milvus adapter and the embedded server do when things are not there."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from pymilvus import MilvusClient
from pymilvus.client.grpc_handler import GrpcHandler

from pirta.contracts.encoding import SearchRequest
from pirta.errors import IndexRequestError, ReleaseError, SettingsError, UnavailableError
from pirta.retrieval.lite_server import LiteServer, start_lite_server
from pirta.retrieval.milvus import MilvusIndex
from tests.index_contract.rows import DIMENSIONS, make_row, unit

REQUEST = SearchRequest("rel-0", "cases", unit(1), 1)


def test_a_server_that_is_not_there_is_unavailable(free_port: Callable[[], int]) -> None:
    uri = f"http://127.0.0.1:{free_port()}"
    started = time.monotonic()
    with pytest.raises(UnavailableError, match=r"setting index\.uri") as caught:
        MilvusIndex(uri, timeout_s=1.0).search(REQUEST)
    assert uri not in str(caught.value)  # callers outside get this text
    assert time.monotonic() - started < 3
    assert caught.value.http_status == 503


def test_a_collection_that_is_not_loaded_in_time_is_named_with_the_time_and_what_to_do(
    server: LiteServer, milvus: MilvusIndex, collection: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    milvus.create(collection, DIMENSIONS)
    # A server whose query nodes have no room says so for ever; milvus-lite is always done.
    monkeypatch.setattr(GrpcHandler, "get_loading_progress", lambda *_given, **_named: 50)
    hasty = MilvusIndex(server.uri, load_timeout_s=0.3)
    with pytest.raises(UnavailableError, match=rf"not load .*{collection} within 0\.3 s") as caught:
        hasty.load(collection)
    assert "index.load_timeout_s" in caught.value.remedy
    monkeypatch.undo()
    hasty.load(collection)


def test_a_text_that_does_not_fit_is_refused_with_its_size(
    milvus: MilvusIndex, collection: str
) -> None:
    milvus.create(collection, DIMENSIONS)
    too_long = replace(make_row("c", unit(1)), findings_text="ä" * 4500)
    with pytest.raises(IndexRequestError, match="9000 bytes"):
        milvus.upsert(collection, [make_row("a", unit(1)), too_long])
    assert milvus.count(collection) == 0


def test_a_collection_of_another_making_is_refused(
    server: LiteServer, milvus: MilvusIndex, collection: str
) -> None:
    client = MilvusClient(server.uri)
    client.create_collection(collection, dimension=DIMENSIONS)
    client.close()
    with pytest.raises(ReleaseError, match="columns of this version"):
        milvus.search(replace(REQUEST, collection=collection))


def test_a_taken_port_is_named_before_anything_starts(
    tmp_path: Path, free_port: Callable[[], int]
) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(SettingsError, match=str(port)):
            start_lite_server(tmp_path / "data", port)
    assert not (tmp_path / "data").exists()
