"""What the Milvus adapter and the embedded server do when things are not there."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pirta.contracts.encoding import SearchRequest
from pirta.contracts.finding import Label
from pirta.errors import IndexRequestError, SettingsError, UnavailableError
from pirta.retrieval.index import IndexRow
from pirta.retrieval.lite_server import start_lite_server
from pirta.retrieval.milvus import MilvusIndex

ROW_D = np.array([1, 0], dtype=np.float32)
REQUEST = SearchRequest("cases", ROW_D, 1)


def a_row(findings_text: str = "") -> IndexRow:
    return IndexRow("c", "p", "s", Label.NORMAL, None, findings_text, ROW_D)


def test_a_server_that_is_not_there_is_unavailable(free_port: Callable[[], int]) -> None:
    uri = f"http://127.0.0.1:{free_port()}"
    started = time.monotonic()
    with pytest.raises(UnavailableError, match=r"setting index\.uri") as caught:
        MilvusIndex(uri, timeout_s=1.0).search(REQUEST)
    assert uri not in str(caught.value)  # callers outside get this text
    assert time.monotonic() - started < 3
    assert caught.value.http_status == 503


def test_a_text_that_does_not_fit_is_refused_with_its_size(
    milvus: MilvusIndex, collection: str
) -> None:
    milvus.create(collection, 2)
    with pytest.raises(IndexRequestError, match="9000 bytes"):
        milvus.upsert(collection, [a_row("x" * 9000)])


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
