"""Engines come and go with the releases that want them, also those that find no place."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
import ray
from ray import serve

from pirta.errors import UnavailableError
from pirta.log import make_logger
from pirta.settings import Settings
from serve_apps.engines import EngineKeeper, engine_app_name
from tests.unit.serve_apps.releases import release_of

RELEASE = release_of(writer_base_sha256="1" * 64)
OTHER = release_of("two", writer_base_sha256="2" * 64)
APP, OTHER_APP = (engine_app_name(one.writer_base_sha256) for one in (RELEASE, OTHER))
LOOKS = 5  # more than a deletion takes


@dataclass(eq=False)
class Task:
    """A task that starts an engine: done when its application runs, or told to end."""

    name: str
    is_cancelled: bool = False


@dataclass
class Cluster:
    """Serve's applications by status, and the tasks that deploy them.

    Attributes:
        has_room: an application that is deployed without it waits for a place, and its task too.
    """

    has_room: bool = True
    applications: dict[str, str] = field(default_factory=dict)
    tasks: list[Task] = field(default_factory=list)

    def remote(self, **_options: Any) -> Any:
        return lambda _run: SimpleNamespace(remote=self._start)

    def _start(self, _start: Any, _settings: Settings, release: Any) -> Task:
        name = engine_app_name(release.writer_base_sha256)
        self.applications[name] = "RUNNING" if self.has_room else "DEPLOYING"
        self.tasks.append(Task(name))
        return self.tasks[-1]

    def wait(self, tasks: list[Task], *, timeout: float) -> tuple[list[Task], list[Task]]:
        assert timeout == 0
        ended = [one for one in tasks if self.applications.get(one.name) == "RUNNING"]
        return ended, [one for one in tasks if one not in ended]

    def cancel(self, task: Task, *, force: bool) -> None:
        assert force, "a task that waits in Serve's own loop hears nothing else"
        task.is_cancelled = True

    def delete(self, name: str, *, _blocking: bool) -> None:
        running = [one for one in self.tasks if one.name == name and not one.is_cancelled]
        if any(self.applications.get(one.name) != "RUNNING" for one in running):
            raise AssertionError("its task would wait for what was deleted")
        self.applications.pop(name, None)

    def status(self) -> Any:
        known = {
            name: SimpleNamespace(status=SimpleNamespace(value=value))
            for name, value in self.applications.items()
        }
        return SimpleNamespace(applications=known)


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Cluster:
    made = Cluster()
    for name in ("remote", "wait", "cancel"):
        monkeypatch.setattr(ray, name, getattr(made, name))
    monkeypatch.setattr(ray, "get", lambda _task: None)
    for name in ("delete", "status"):
        monkeypatch.setattr(serve, name, getattr(made, name))
    return made


@pytest.fixture
def keeper(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> EngineKeeper:
    monkeypatch.setattr("serve_apps.engines.check_memory", lambda _needs, **_free: None)
    monkeypatch.setattr("serve_apps.engines._STEADY_LOOK_S", 0.0)
    return EngineKeeper(
        Settings(), lambda _settings, _release: None, log=make_logger(io.StringIO())
    )


def test_an_engine_that_finds_no_place_is_deleted_when_no_release_wants_it(
    cluster: Cluster, keeper: EngineKeeper
) -> None:
    keeper.step((RELEASE,))
    cluster.has_room = False
    for _ in range(LOOKS):
        keeper.step((RELEASE, OTHER))
    assert cluster.applications == {APP: "RUNNING", OTHER_APP: "DEPLOYING"}
    for _ in range(LOOKS):
        keeper.step((RELEASE,))
    assert cluster.applications == {APP: "RUNNING"}
    assert [one.name for one in cluster.tasks if one.is_cancelled] == [OTHER_APP]


def test_an_engine_that_was_given_up_is_started_anew_when_it_is_wanted_again(
    cluster: Cluster, keeper: EngineKeeper
) -> None:
    cluster.has_room = False
    keeper.step((OTHER,))
    for _ in range(LOOKS):
        keeper.step(())
    assert cluster.applications == {}
    cluster.has_room = True
    for _ in range(LOOKS):
        keeper.step((OTHER,))
    keeper.check(OTHER.writer_base_sha256)


def test_an_engine_that_is_unwanted_for_a_moment_stays(
    cluster: Cluster, keeper: EngineKeeper
) -> None:
    cluster.has_room = False
    keeper.step((OTHER,))
    for _ in range(LOOKS):
        keeper.step(())
        keeper.step((OTHER,))
    assert cluster.applications == {OTHER_APP: "DEPLOYING"}
    assert len(cluster.tasks) == 1
    with pytest.raises(UnavailableError, match="being started"):
        keeper.check(OTHER.writer_base_sha256)
