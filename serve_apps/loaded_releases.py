"""What a replica holds: the parts of every release that the store wants, kept in step by itself.

A replica asks the store about once a second which releases are wanted, loads what is missing
beside what is there, lets go of what is wanted no more, and reports each state with its heartbeat.
Nobody pushes anything to a replica, so one that starts, restarts or was cut off for a while comes
to the same end by the same way. Requests read one reference and never wait for a load. While the
store does not answer, a replica goes on with what it holds.

Two threads: one loads, one reports, so that a replica that loads for minutes is not taken for
dead. What a part is, and how it is loaded, only the `PartLoader` knows.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from types import MappingProxyType
from typing import Generic

import structlog

from pirta.contracts.release import Release
from pirta.errors import PirtaError, UnavailableError, UnknownReleaseError
from pirta.releases.stored import Load
from serve_apps.part_loader import Part, PartLoader, ReleaseWatch

# How often a part that could not be loaded is tried again, in polls.
_POLLS_AFTER_FAILURE = 10
_JOIN_TIMEOUT_S = 5.0


@dataclass(frozen=True)
class Held(Generic[Part]):
    """A release with this replica's part of it."""

    release: Release
    part: Part


class LoadedReleases(Generic[Part]):
    """The map from release id to part. `get` may be called from any thread."""

    def __init__(
        self,
        watch: ReleaseWatch,
        loader: PartLoader[Part],
        *,
        deployment: str,
        replica_id: str,
        poll_s: float,
        start_timeout_s: float,
        log: structlog.stdlib.BoundLogger,
    ) -> None:
        self._watch, self._loader, self._log = watch, loader, log
        self._deployment, self._replica_id = deployment, replica_id
        self._poll_s, self._start_timeout_s = poll_s, start_timeout_s
        self._held: Mapping[str, Held[Part]] = MappingProxyType({})
        self._loads: Mapping[str, Load] = MappingProxyType({})
        self._parts: dict[str, Part] = {}
        self._polls_to_wait: dict[str, int] = {}
        self._failures: dict[str, PirtaError] = {}
        self._is_unheard = False
        self._is_up: Future[None] = Future()
        self._stopped = threading.Event()
        self._threads = [
            threading.Thread(target=run, daemon=True)
            for run in (self._load_for_ever, self._beat_on)
        ]

    def start(self) -> None:
        """Load every wanted release, then keep in step until `stop`.

        What does not answer yet is waited for, as long as a stage may take. A release that
        cannot be loaded as things are keeps no replica down, the active one neither: after an
        update of the code only a replica that is up can load the release that comes after it.

        Raises:
            UnavailableError: the store, or what the active release needs, did not answer.
        """
        for thread in self._threads:
            thread.start()
        try:
            # In a thread of its own from the first load on: Serve constructs a replica on an
            # event loop, where a loader that waits for another deployment may not run.
            self._is_up.result()
        except BaseException:
            self.stop()
            raise

    def get(self, release_id: str) -> Held[Part]:
        """Return the release with its part.

        Raises:
            UnknownReleaseError: this replica does not hold it.
        """
        held = self._held.get(release_id)
        if held is None:
            failure = self._failures.get(release_id)
            # Its code alone: the message may name the server's folders.
            why = "" if failure is None else f" (loading it ended in {failure.code})"
            raise UnknownReleaseError(
                f"This replica of the {self._deployment} does not hold the release "
                f"{release_id[:40]}{why}, only {', '.join(self._held) or 'none'}.",
                remedy="Stage the release; `pirta release list` shows every release's state.",
            )
        return held

    def check_alive(self) -> None:
        """Raise where a thread has ended: Serve then replaces the replica."""
        assert self._stopped.is_set() or all(one.is_alive() for one in self._threads)

    def stop(self) -> None:
        """End the threads and let the store forget this replica."""
        self._stopped.set()
        for thread in self._threads:
            if thread.is_alive() and thread is not threading.current_thread():
                thread.join(_JOIN_TIMEOUT_S)
        with suppress(UnavailableError):  # its last heartbeat grows old by itself
            self._watch.forget_replica(self._replica_id)

    def _load_for_ever(self) -> None:
        try:
            self._come_up()
        except BaseException as error:  # noqa: BLE001 - raised in `start`, to Serve
            self._is_up.set_exception(error)
            return
        self._is_up.set_result(None)
        while not self._stopped.wait(self._poll_s):
            try:
                self._step()
            except PirtaError as error:
                self._tell_silence(error)

    def _come_up(self) -> None:
        """Come up with the store: return when the active release is held, or cannot be."""
        deadline_s = time.monotonic() + self._start_timeout_s
        while True:
            try:
                # Heard of before it asks what is wanted: a stage that begins after the question
                # waits for this replica, and one that began before is in the answer.
                self._watch.beat(self._replica_id, self._deployment, self._loads)
                silent = self._step()
                active = self._watch.active()
                if active is None or active.release_id in {*self._held, *self._failures}:
                    return
                raise silent.get(active.release_id) or _overtaken(active.release_id)
            except UnavailableError:
                if self._stopped.wait(self._poll_s) or time.monotonic() > deadline_s:
                    raise

    def _beat_on(self) -> None:
        while not self._stopped.wait(self._poll_s):
            self._beat()

    def _beat(self) -> None:
        try:
            self._watch.beat(self._replica_id, self._deployment, self._loads)
        except PirtaError as error:
            self._tell_silence(error)
        else:
            self._is_unheard = False

    def _tell_silence(self, error: PirtaError) -> None:
        if not self._is_unheard:  # once an outage
            self._log.warning(
                "store of releases does not answer", code=error.code, replica=self._replica_id
            )
        self._is_unheard = True

    def _step(self) -> dict[str, UnavailableError]:
        """Let go, load and assign; return what did not answer yet, by release."""
        wanted = {release.release_id: release for release in self._watch.wanted()}
        active = self._watch.active()
        self._forget_all_but(wanted)
        silent: dict[str, UnavailableError] = {}
        for release_id, release in wanted.items():
            if release_id in self._held or not self._is_due(release_id):
                continue
            is_active = active is not None and active.release_id == release_id
            # What answers is never refused for the memory of what is only kept warm.
            beside = () if is_active else tuple(one.release for one in self._held.values())
            error = self._load(release, beside)
            if error is not None:
                silent[release_id] = error
        return silent

    def _is_due(self, release_id: str) -> bool:
        left = self._polls_to_wait.get(release_id, 0)
        self._polls_to_wait[release_id] = max(0, left - 1)
        return left == 0

    def _load(self, release: Release, beside: tuple[Release, ...]) -> UnavailableError | None:
        release_id, key = release.release_id, self._loader.key(release)
        if release_id not in self._loads:
            self._report(release_id, Load(state="loading"))
            self._beat()
        try:
            if key not in self._parts:
                self._parts[key] = self._loader.load(release, beside)
        except UnavailableError as error:
            self._report(release_id, Load(state="loading", message=str(error)))
            return error
        except PirtaError as error:
            self._fail(release_id, error)
            return None
        except Exception as error:  # noqa: BLE001 - one release's fault must not end the replica
            unknown = PirtaError(
                f"The {self._deployment} could not load it ({type(error).__name__}).",
                remedy="See the replica's log.",
            )
            self._fail(release_id, unknown)
            return None
        self._failures.pop(release_id, None)
        self._held = MappingProxyType({**self._held, release_id: Held(release, self._parts[key])})
        self._report(release_id, Load(state="ready"))
        self._beat()
        self._log.info("release loaded", release_id=release_id, replica=self._replica_id)
        return None

    def _fail(self, release_id: str, error: PirtaError) -> None:
        self._failures[release_id] = error
        self._polls_to_wait[release_id] = _POLLS_AFTER_FAILURE
        self._report(release_id, Load(state="failed", message=str(error)))
        self._beat()
        self._log.warning(
            "release not loaded", release_id=release_id, replica=self._replica_id, code=error.code
        )

    def _report(self, release_id: str, load: Load) -> None:
        self._loads = MappingProxyType({**self._loads, release_id: load})

    def _forget_all_but(self, wanted: Mapping[str, Release]) -> None:
        gone = [release_id for release_id in self._loads if release_id not in wanted]
        if not gone:
            return
        self._held = MappingProxyType({k: v for k, v in self._held.items() if k in wanted})
        self._loads = MappingProxyType({k: v for k, v in self._loads.items() if k in wanted})
        for release_id in gone:
            self._polls_to_wait.pop(release_id, None)
            self._failures.pop(release_id, None)
        needed = {self._loader.key(held.release) for held in self._held.values()}
        needed |= {self._loader.key(release) for release in wanted.values()}
        for key in set(self._parts) - needed:
            part = self._parts.pop(key)
            try:
                self._loader.unload(part)
            except PirtaError as error:  # an index that is away has let go already
                self._log.warning("part not unloaded", replica=self._replica_id, code=error.code)
        self._beat()


def _overtaken(release_id: str) -> UnavailableError:
    return UnavailableError(
        f"The release {release_id} became active while others were loaded.", remedy="Try again."
    )
