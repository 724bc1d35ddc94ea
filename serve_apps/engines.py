"""Keeps one engine application for each writer base that a wanted release names.

An engine is a Serve application of its own, `engine-<base sha256, 12 digits>`, so that a new base
is started beside the old one and no application that serves is deployed anew. It is started by a
Ray task, because loading vLLM's code takes as much memory as a replica should spare. Adapters are
not this file's matter: an engine takes a new one without a restart.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Protocol

import structlog

from pirta.contracts.release import Release
from pirta.errors import MemoryShortError, PirtaError, UnavailableError
from pirta.releases.memory import bytes_needed, check_memory, folder_bytes, read_free_bytes
from pirta.settings import Settings

ENGINE_PREFIX = "engine-"
BASE_MODEL_ID = "report"
# A base may be wanted again at once, by a release that shares it: not deleted at the first look.
_LOOKS_BEFORE_DELETION = 3
_RETRY_S = 30.0
# Asking Serve took 170 ms of a core; where nothing changes, once in this time is enough.
_STEADY_LOOK_S = 5.0


class StartEngine(Protocol):
    """Starts the engine of a release's base as a Serve application; runs in a Ray task."""

    def __call__(self, settings: Settings, release: Release) -> None:
        """Return when the engine answers.

        Raises:
            PirtaError: the base cannot be used, or does not fit.
        """
        ...


def engine_app_name(base_sha256: str) -> str:
    """Return the name of the Serve application of a base."""
    return f"{ENGINE_PREFIX}{base_sha256[:12]}"


def adapter_model_id(adapter_sha256: str) -> str:
    """Return the model id that selects an adapter, made from its content."""
    return f"{BASE_MODEL_ID}:{adapter_sha256[:12]}"


def start_vllm_engine(settings: Settings, release: Release) -> None:
    """Start vLLM with the release's base.

    Raises:
        ReleaseError: the base's folder cannot be used, or holds another base.
        UnavailableError: the engine did not come up.
    """
    from ray import serve

    from serve_apps.llm import build_engine

    application = build_engine(settings, release)
    try:
        serve.run(application, name=engine_app_name(release.writer_base_sha256), route_prefix=None)
    except RuntimeError:
        raise UnavailableError(
            f"The engine of the base {release.writer_base_sha256[:12]} did not start.",
            remedy="See `serve status` and the engine's log.",
        ) from None


class EngineKeeper:
    """Starts engines that are wanted and deletes those that are not, a step at a time."""

    def __init__(
        self, settings: Settings, start: StartEngine, *, log: structlog.stdlib.BoundLogger
    ) -> None:
        self._settings, self._start, self._log = settings, start, log
        self._starting: dict[str, Any] = {}  # application to the Ray task that starts it
        self._failures: dict[str, tuple[PirtaError, float]] = {}
        self._unwanted_looks: dict[str, int] = {}
        self._statuses: Mapping[str, str] = {}
        self._looked_s = -_STEADY_LOOK_S

    def step(self, wanted: tuple[Release, ...]) -> None:
        """Compare what runs with what is wanted, and begin to mend the difference."""
        by_app = {engine_app_name(one.writer_base_sha256): one for one in wanted}
        self._harvest()
        if self._is_steady(by_app):
            return
        self._statuses, self._looked_s = _engine_statuses(), time.monotonic()
        self._failures = {k: v for k, v in self._failures.items() if k in by_app}
        for name, release in by_app.items():
            self._unwanted_looks.pop(name, None)
            if self._statuses.get(name) == "DEPLOY_FAILED":
                self._delete(name)
            elif name not in self._statuses and self._may_start(name):
                beside = [one for app, one in by_app.items() if app in self._statuses]
                self._begin(name, release, beside)
        for name in {*self._statuses, *self._starting} - set(by_app):
            self._unwanted_looks[name] = self._unwanted_looks.get(name, 0) + 1
            if self._unwanted_looks[name] == _LOOKS_BEFORE_DELETION:
                self._give_up_start(name)
                self._delete(name)

    def _is_steady(self, by_app: Mapping[str, Release]) -> bool:
        """Return whether all that is wanted ran, and nothing else, a moment ago."""
        runs = {name for name, status in self._statuses.items() if status == "RUNNING"}
        settled = not self._starting and runs == set(by_app) == set(self._statuses)
        return settled and time.monotonic() - self._looked_s < _STEADY_LOOK_S

    def check(self, base_sha256: str) -> None:
        """Return if the engine of a base is up.

        Raises:
            UnavailableError: it is being started.
            PirtaError: it could not be started.
        """
        name = engine_app_name(base_sha256)
        if self._statuses.get(name) == "RUNNING":
            return
        if name in self._failures:
            raise self._failures[name][0]
        raise UnavailableError(
            f"The engine of the base {base_sha256[:12]} is being started.", remedy="Wait for it."
        )

    def _may_start(self, name: str) -> bool:
        _, failed_s = self._failures.get(name, (None, -_RETRY_S))
        return name not in self._starting and time.monotonic() - failed_s >= _RETRY_S

    def _begin(self, name: str, release: Release, beside: list[Release]) -> None:
        import ray

        if beside and self._settings.writer.accelerator is None:
            needs = bytes_needed(release, held=beside, folder_bytes=folder_bytes)
            try:
                check_memory({"writer": needs["writer"]}, free_bytes=read_free_bytes())
            except MemoryShortError as error:
                self._fail(name, error)
                return
        task = ray.remote(num_cpus=0, max_retries=0)(_run)
        self._starting[name] = task.remote(self._start, self._settings, release)
        self._log.info("engine starting", release_id=release.release_id)

    def _harvest(self) -> None:
        """Take in the tasks that have ended."""
        import ray
        from ray.exceptions import RayError, RayTaskError

        for name, task in list(self._starting.items()):
            ended, _ = ray.wait([task], timeout=0)
            if not ended:
                continue
            del self._starting[name]
            try:
                ray.get(task)
                self._failures.pop(name, None)
            except RayTaskError as error:
                self._fail(name, error.cause)
            except RayError as error:
                self._fail(name, error)

    def _give_up_start(self, name: str) -> None:
        """End the task that starts an engine: where there is no place for one it waits for ever."""
        import ray

        task = self._starting.pop(name, None)
        if task is not None:
            ray.cancel(task, force=True)

    def _fail(self, name: str, cause: BaseException) -> None:
        error = (
            cause
            if isinstance(cause, PirtaError)
            else PirtaError(
                f"The engine {name} could not be started ({type(cause).__name__}).",
                remedy="See `serve status` and the engine's log.",
            )
        )
        self._failures[name] = (error, time.monotonic())
        self._log.warning("engine not started", code=error.code, error_type=type(cause).__name__)

    def _delete(self, name: str) -> None:
        from ray import serve

        # The task that starts it may deploy it until this very moment, whatever the last look saw.
        serve.delete(name, _blocking=False)
        self._log.info("engine deleted", stage=name)


def _run(start: StartEngine, settings: Settings, release: Release) -> None:
    start(settings, release)


def _engine_statuses() -> dict[str, str]:
    from ray import serve

    return {
        name: application.status.value
        for name, application in serve.status().applications.items()
        if name.startswith(ENGINE_PREFIX)
    }
