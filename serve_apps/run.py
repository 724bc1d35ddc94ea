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

from pirta.errors import FingerprintError, ReleaseError, SettingsError, UnavailableError
from pirta.settings import Settings
from serve_apps.engines import ENGINE_PREFIX

if TYPE_CHECKING:
    from ray.serve import Application

    from serve_apps.app import GraphParts

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
        # The graph first: its release control would start an engine again.
        serve.delete(APP_NAME)
        for name in serve.status().applications:
            if name.startswith(ENGINE_PREFIX):
                serve.delete(name)
        if self.owns_ray:
            ray.shutdown()


def start(
    settings: Settings, *, on_stage: OnStage | None = None, parts: GraphParts | None = None
) -> RunningService:
    """Start the graph and return it when it answers.

    It serves whatever is active in the store of releases; where nothing is, or nothing that this
    code and these files can serve, it starts all the same, says so, and answers reports with a
    typed error until another release is activated.

    Args:
        parts: see `serve_apps.app.GraphParts`.

    Raises:
        PirtaError: settings, door or store cannot be used.
        UnavailableError: a deployment did not start, or what the active release needs does not
            answer.
    """
    from pirta.pipelines.local_ray import start_ray
    from serve_apps.app import build_app
    from serve_apps.door import check_door

    tell = on_stage or (lambda _text: None)
    check_door(settings.gateway)
    gateway = settings.gateway
    check_port_is_free(gateway.host, gateway.port)
    tell(describe_active(settings))
    owns_ray = start_ray(_LOGICAL_CPUS)
    service = RunningService(f"http://{gateway.host}:{gateway.port}", owns_ray)
    # Both tell every step at INFO on the terminal; their own log files keep it.
    for name in ("ray.serve", "ray.data"):
        logging.getLogger(name).setLevel(logging.WARNING)
    try:
        _deploy(build_app(settings, parts), settings, tell)
    except BaseException:
        service.stop()
        raise
    tell(f"Serving at {service.url}")
    return service


def describe_active(settings: Settings) -> str:
    """Return what will be served, or why the active release cannot be.

    Its parts are checked, and the store's schema is brought up to date. An active release that
    cannot be served is told and no error: another one can only be staged in a service that runs.

    Raises:
        ReleaseError: the store is newer than this code.
        UnavailableError: it does not answer.
    """
    from pirta.imaging.prepare import fingerprint
    from serve_apps.part_checks import check_release
    from serve_apps.replica import open_store

    active = None
    store = open_store(settings.releases)
    try:
        store.migrate()
        active = store.active()
        if active is None:
            return "No release is active yet: starting the graph without one"
        release = store.get(active.release_id).release
        check_release(release, preprocessing_fingerprint=fingerprint(settings.preprocessing))
    except (FingerprintError, ReleaseError) as error:
        if active is None:  # the store itself
            raise
        return (
            f"WARNING: the active release cannot be served. {error} Reports end in an error until "
            "this is mended, or another release is built, verified, staged and activated"
        )
    finally:
        store.close()
    return f"Starting the graph with {active.release_id}, active since {active.at:%Y-%m-%d %H:%M}"


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
