"""What a replica's releases are tested with: plain loaders, a store that goes away, patience."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection

from pirta.contracts.release import Release
from pirta.errors import MemoryShortError, UnavailableError
from pirta.releases.store import ReleaseStore
from pirta.releases.stored import Activation

POLL_S = 0.02
PATIENCE_S = 10.0


class PlainLoader:
    """Parts are lists of one text; `failing` is raised for a release's key."""

    def __init__(self) -> None:
        self.loaded: list[str] = []
        self.unloaded: list[str] = []
        self.beside: list[set[str]] = []
        self.failing: dict[str, Exception] = {}

    def key(self, release: Release) -> str:
        return release.encoder_sha256

    def load(self, release: Release, held: Collection[Release]) -> list[str]:
        self.beside.append({one.release_id for one in held})
        if self.key(release) in self.failing:
            raise self.failing[self.key(release)]
        self.loaded.append(self.key(release))
        return [self.key(release)]

    def unload(self, part: list[str]) -> None:
        self.unloaded += part


class InterruptedStore:
    """A store that can be taken away, as a database server can."""

    def __init__(self, store: ReleaseStore) -> None:
        self._store, self.is_away = store, False

    def _there(self) -> ReleaseStore:
        if self.is_away:
            raise UnavailableError("The store is away.", remedy="Wait.")
        return self._store

    def wanted(self) -> tuple[Release, ...]:
        return self._there().wanted()

    def active(self) -> Activation | None:
        return self._there().active()

    def beat(self, replica_id: str, deployment: str, loads: object) -> None:
        self._there().beat(replica_id, deployment, loads)  # type: ignore[arg-type]

    def forget_replica(self, replica_id: str) -> None:
        self._there().forget_replica(replica_id)


def until(condition: Callable[[], object]) -> None:
    deadline_s = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline_s, "it did not come about"
        time.sleep(POLL_S)


def load_state(store: ReleaseStore, release_id: str) -> str | None:
    (replica,) = store.live_replicas()
    load = replica.loads.get(release_id)
    return None if load is None else load.state


class RoomForOne(PlainLoader):
    """Loads a first release without asking, and refuses every other for the memory."""

    def load(self, release: Release, held: Collection[Release]) -> list[str]:
        if held:
            raise MemoryShortError("512 MiB are missing.", remedy="Retire one.")
        return super().load(release, held)
