"""Staging against a real store, and replicas that are threads which beat it as Serve's do."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pirta.errors import ReleaseError, ReleaseStateError, UnavailableError, UnknownReleaseError
from pirta.pipelines.staging import DEPLOYMENTS, readiness, stage_release
from pirta.releases.store import ReleaseStore
from pirta.releases.stored import Load, Replica
from pirta.settings import ReleasesSettings, Settings
from tests.unit.pipelines.release_examples import ACTOR, add_verified, make_release, open_store

POLL_S = 0.05


class BeatingReplica:
    """Looks at what is wanted and reports it, as a replica does; `load` says what comes of it."""

    def __init__(
        self, releases: ReleaseStore, deployment: str, number: int, load: Callable[[str], Load]
    ) -> None:
        self._releases, self._deployment, self._load = releases, deployment, load
        self.name = f"{deployment}-{number}"
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._ended.wait(POLL_S):
            loads = {one.release_id: self._load(one.release_id) for one in self._releases.wanted()}
            self._releases.beat(self.name, self._deployment, loads)

    def end(self) -> None:
        self._ended.set()
        self._thread.join()


@pytest.fixture
def releases(tmp_path: Path) -> Iterator[ReleaseStore]:
    store = open_store(tmp_path)
    yield store
    store.close()


@pytest.fixture
def start(releases: ReleaseStore) -> Iterator[Callable[..., BeatingReplica]]:
    started: list[BeatingReplica] = []

    def begin(
        deployment: str, number: int = 0, load: Callable[[str], Load] | None = None
    ) -> BeatingReplica:
        ready = load or (lambda _release_id: Load(state="ready"))
        started.append(BeatingReplica(releases, deployment, number, ready))
        return started[-1]

    yield begin
    for replica in started:
        replica.end()


def _settings(**changes: float) -> Settings:
    times = {"poll_s": POLL_S, "stage_timeout_s": 20.0, "replica_stale_s": 5.0, **changes}
    return Settings(releases=ReleasesSettings.model_validate(times))


def test_a_release_is_staged_when_every_replica_of_all_three_deployments_is_ready(
    releases: ReleaseStore, start: Callable[..., BeatingReplica]
) -> None:
    release_id = add_verified(releases, make_release())
    told: list[tuple[int, int, str]] = []
    slow = threading.Event()

    def slowly(_release_id: str) -> Load:
        return Load(state="ready" if slow.is_set() else "loading")

    start("Encoder", 0), start("Encoder", 1, slowly), start("Retriever"), start("Writer")

    def on_progress(ready: int, alive: int, missing: str) -> None:
        told.append((ready, alive, missing))
        if (ready, alive) == (3, 4):
            assert releases.get(release_id).state == "staging"
            slow.set()

    stage_release(
        release_id, releases=releases, settings=_settings(), actor=ACTOR, on_progress=on_progress
    )
    assert releases.get(release_id).state == "staged"
    assert (3, 4, "encoder 1 of 2") in told
    assert told[-1] == (4, 4, "")
    before = len(told)
    stage_release(
        release_id, releases=releases, settings=_settings(), actor=ACTOR, on_progress=on_progress
    )
    assert len(told) == before, "staged already: nothing is waited for"


def test_a_replica_that_cannot_load_it_ends_the_stage_with_its_own_words(
    releases: ReleaseStore, start: Callable[..., BeatingReplica]
) -> None:
    release_id = add_verified(releases, make_release())
    start("Encoder"), start("Retriever")
    start("Writer", 3, lambda _: Load(state="failed", message="1,200 MiB are missing."))
    with pytest.raises(ReleaseError, match=r"1 of 3 .* the writer Writer-3: 1,200 MiB are missing"):
        stage_release(release_id, releases=releases, settings=_settings(), actor=ACTOR)
    assert releases.get(release_id).state == "verified"
    assert any("1,200 MiB" in event.detail for event in releases.events())


def test_a_failure_that_is_left_from_the_attempt_before_does_not_end_the_next(
    releases: ReleaseStore, start: Callable[..., BeatingReplica]
) -> None:
    release_id = add_verified(releases, make_release())
    start("Encoder"), start("Retriever")
    releases.beat("Writer-0", "Writer", {release_id: Load(state="failed", message="no room")})
    began = threading.Timer(3 * POLL_S, lambda: start("Writer", 0))
    began.start()
    stage_release(release_id, releases=releases, settings=_settings(poll_s=2), actor=ACTOR)
    assert releases.get(release_id).state == "staged"


def test_without_a_service_the_stage_ends_in_time_and_says_what_is_missing(
    releases: ReleaseStore, start: Callable[..., BeatingReplica]
) -> None:
    release_id = add_verified(releases, make_release())
    start("Encoder")
    with pytest.raises(UnavailableError, match=r"no live replica of the retriever.*pirta serve"):
        stage_release(
            release_id, releases=releases, settings=_settings(stage_timeout_s=0.5), actor=ACTOR
        )
    assert releases.get(release_id).state == "verified"


def test_a_replica_that_is_heard_of_no_more_is_not_waited_for(
    releases: ReleaseStore, start: Callable[..., BeatingReplica]
) -> None:
    release_id = add_verified(releases, make_release())
    for deployment in DEPLOYMENTS:
        start(deployment.title())
    releases.beat("Encoder-that-died", "Encoder", {})
    stage_release(
        release_id, releases=releases, settings=_settings(replica_stale_s=1.0), actor=ACTOR
    )
    assert releases.get(release_id).state == "staged"


def test_a_stage_whose_driver_was_killed_goes_on_when_it_is_called_again(
    releases: ReleaseStore, start: Callable[..., BeatingReplica]
) -> None:
    release_id = add_verified(releases, make_release())

    class KilledError(BaseException):
        pass

    def die(_ready: int, _alive: int, _missing: str) -> None:
        raise KilledError

    with pytest.raises(KilledError):
        stage_release(
            release_id, releases=releases, settings=_settings(), actor=ACTOR, on_progress=die
        )
    assert releases.get(release_id).state == "staging"
    for deployment in DEPLOYMENTS:
        start(deployment.title())
    stage_release(release_id, releases=releases, settings=_settings(), actor=ACTOR)
    assert releases.get(release_id).state == "staged"


def test_only_a_verified_release_that_there_is_can_be_staged(releases: ReleaseStore) -> None:
    built = make_release()
    releases.add(built, actor=ACTOR)
    with pytest.raises(ReleaseStateError, match="is built"):
        stage_release(built.release_id, releases=releases, settings=_settings(), actor=ACTOR)
    with pytest.raises(UnknownReleaseError):
        stage_release("rel-none", releases=releases, settings=_settings(), actor=ACTOR)


def test_what_a_loading_replica_waits_for_is_told() -> None:
    waiting = Replica(
        replica_id="w-1",
        deployment="Writer",
        beat_at=datetime.now(UTC),
        loads={"rel-1": Load(state="loading", message="The engine is being started.")},
    )
    assert readiness("rel-1", (waiting,)).missing[2] == (
        "writer 0 of 1 (The engine is being started.)"
    )


def test_nothing_is_ready_where_nobody_lives() -> None:
    now = readiness("rel-1", ())
    assert (now.num_ready, now.num_replicas, len(now.missing)) == (0, 0, 3)
