"""Starts the graph from Python, for `pirta serve` and `pirta demo`, and ends it again.

On a cluster the same graph is deployed from a configuration file through `serve_apps.app:build`.
"""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pirta.contracts.release import Release
from pirta.errors import SettingsError, UnavailableError
from pirta.settings import Settings

if TYPE_CHECKING:
    from ray.serve import Application

APP_NAME = "pirta"
_LOGICAL_CPUS = 8  # the graph reserves little and shares what the machine has
_POLL_S = 0.5

OnStage = Callable[[str], None]


@dataclass
class RunningService:
    """The running graph. `stop` ends it, and Ray with it where `start` started Ray."""

    url: str
    owns_ray: bool

    def stop(self) -> None:
        """End the graph; harmless when it has ended already."""
        import ray
        from ray import serve

        if not ray.is_initialized():
            return
        serve.delete(APP_NAME)
        if self.owns_ray:
            ray.shutdown()


def start(settings: Settings, *, on_stage: OnStage | None = None) -> RunningService:
    """Start the graph for the release of the settings, and return it when it answers.

    What can be wrong with settings, release, weights and index is told before Ray starts.

    Raises:
        PirtaError: settings, door, release, weights or index cannot be used.
        UnavailableError: a deployment did not start.
    """
    tell = on_stage or (lambda _text: None)
    release = _check(settings, tell)
    tell("Loading Ray Serve and vLLM")

    with _quiet_import():
        import serve_apps.llm  # noqa: F401
    from pirta.pipelines.local_ray import start_ray
    from serve_apps.app import build_app

    owns_ray = start_ray(_LOGICAL_CPUS)
    gateway = settings.gateway
    service = RunningService(f"http://{gateway.host}:{gateway.port}", owns_ray)
    # Both tell every step at INFO on the terminal; their own log files keep it.
    for name in ("ray.serve", "ray.data"):
        logging.getLogger(name).setLevel(logging.WARNING)
    try:
        _deploy(build_app(settings, release), settings, tell)
    except BaseException:
        service.stop()
        raise
    tell(f"Serving {release.release_id} at {service.url}")
    return service


def _check(settings: Settings, tell: OnStage) -> Release:
    from pirta.releases.record import read_release
    from serve_apps.app import check_release
    from serve_apps.door import check_door
    from serve_apps.retriever import check_collection, open_index

    check_door(settings.gateway)
    check_port_is_free(settings.gateway.host, settings.gateway.port)
    release = read_release(settings.release_path)
    tell(f"Checking {release.release_id}: weights, preprocessing, index")
    check_release(settings, release)
    check_collection(open_index(settings.index), release)
    return release


def check_port_is_free(host: str, port: int) -> None:
    """Raise SettingsError where something listens on the address, or it is not this machine's."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise SettingsError(
                f"The gateway cannot listen on {host}:{port} ({error.strerror}).",
                remedy="End what runs there, or set gateway.host and gateway.port.",
            ) from None


@contextmanager
def _quiet_import() -> Iterator[None]:
    """Keep ray.llm and vLLM from talking while they are imported, and from the root logger."""
    root, disabled = logging.getLogger(), logging.root.manager.disable
    handlers, level = root.handlers[:], root.level
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(disabled)
        root.handlers[:] = handlers
        root.setLevel(level)


def _deploy(application: Application, settings: Settings, tell: OnStage) -> None:
    from ray import serve

    serve.start(http_options={"host": settings.gateway.host, "port": settings.gateway.port})
    try:
        with _deployments_told(tell):
            serve.run(application, name=APP_NAME, route_prefix="/")
    except RuntimeError:
        raise UnavailableError(
            f"The graph did not start: {_unwell()}.",
            remedy="See `serve status` and the logs in /tmp/ray/session_latest/logs/serve.",
        ) from None


def _unwell() -> str:
    from ray import serve

    application = serve.status().applications.get(APP_NAME)
    if application is None:
        return "Serve knows nothing of it"
    unwell = [
        f"{name} is {status.status.value.lower()}"
        for name, status in application.deployments.items()
        if status.status.value != "HEALTHY"
    ]
    return ", ".join(unwell) or application.status.value


@contextmanager
def _deployments_told(tell: OnStage) -> Iterator[None]:
    """Tell each deployment as it becomes healthy, from a thread beside `serve.run`."""
    ended = threading.Event()
    watcher = threading.Thread(target=_watch, args=(tell, ended), daemon=True)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()


def _watch(tell: OnStage, ended: threading.Event) -> None:
    from ray import serve

    started_s = time.monotonic()
    told: set[str] = set()
    while True:
        is_last = ended.wait(_POLL_S)
        application = serve.status().applications.get(APP_NAME)
        for name, status in application.deployments.items() if application else ():
            if name not in told and status.status.value == "HEALTHY":
                told.add(name)
                tell(f"{name} is up after {time.monotonic() - started_s:.0f} s")
        if is_last:
            return
