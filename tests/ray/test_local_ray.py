"""A Ray that is slow to start is started once more, and nothing of the first start stays."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psutil
import pytest
import ray
from ray._private import services

from pirta.errors import UnavailableError
from pirta.pipelines.local_ray import start_local_ray

_TOO_SLOW = (
    Exception("The current node timed out during startup. This could happen because ..."),
    Exception("Timed out waiting for file /tmp/ray/session_0/gcs_server_port_0"),
)


@pytest.fixture(autouse=True)
def nothing_stays() -> Iterator[None]:
    before = set(psutil.Process().children(recursive=True))
    yield
    ray.shutdown()
    assert set(psutil.Process().children(recursive=True)) <= before


def _slow_starts(monkeypatch: pytest.MonkeyPatch, *errors: Exception) -> list[set[psutil.Process]]:
    """Have the next starts' nodes not come up; returns what ran at each, as it happens."""
    running: list[set[psutil.Process]] = []
    real = services.get_node

    def get_node(*args: Any) -> Any:
        if len(running) == len(errors):
            return real(*args)
        running.append(set(psutil.Process().children()))
        raise errors[len(running) - 1]

    monkeypatch.setattr(services, "get_node", get_node)
    return running


def test_a_slow_start_is_ended_and_another_made(monkeypatch: pytest.MonkeyPatch) -> None:
    running = _slow_starts(monkeypatch, _TOO_SLOW[0])
    start_local_ray(4)
    (first,) = running
    assert len(first) >= 2  # a raylet and a GCS at least
    assert not any(process.is_running() for process in first)
    assert ray.cluster_resources()["CPU"] == 4


def test_two_slow_starts_are_an_error_for_people(monkeypatch: pytest.MonkeyPatch) -> None:
    running = _slow_starts(monkeypatch, *_TOO_SLOW)
    with pytest.raises(UnavailableError, match=r"2 times over.*raylet\.err"):
        start_local_ray(4)
    assert len(running) == 2
    assert not ray.is_initialized()


def test_another_fault_of_ray_is_not_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    starts: list[str] = []

    def init(address: str, **_: object) -> None:
        starts.append(address)
        raise ValueError("no such address")

    monkeypatch.setattr(ray, "init", init)
    with pytest.raises(ValueError, match="no such address"):
        start_local_ray(4)
    assert starts == ["local"]
