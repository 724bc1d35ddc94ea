"""A replica's releases over a real store: loaded, shared, let go of, reported, and kept alive."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

import pytest

from pirta.contracts.release import Release
from pirta.errors import (
    CheckpointError,
    MemoryShortError,
    ReleaseError,
    UnavailableError,
    UnknownReleaseError,
)
from pirta.log import make_logger
from pirta.pipelines.staging import DEPLOYMENTS, stage_release
from pirta.releases.store import ReleaseStore
from pirta.settings import ReleasesSettings, Settings
from serve_apps.loaded_releases import LoadedReleases
from serve_apps.part_loader import PartLoader
from tests.unit.serve_apps.plain_replica import (
    PATIENCE_S,
    POLL_S,
    InterruptedStore,
    PlainLoader,
    RoomForOne,
    load_state,
    until,
)
from tests.unit.serve_apps.releases import PASSED, activate, begin_staging, new_store, release_of


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ReleaseStore]:
    opened = new_store(tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def loader() -> PlainLoader:
    return PlainLoader()


Start = Callable[..., LoadedReleases[list[str]]]


@pytest.fixture
def start(store: ReleaseStore, loader: PlainLoader) -> Iterator[Start]:
    started: list[LoadedReleases[list[str]]] = []

    def begin(
        watch: object = store,
        using: PartLoader[list[str]] = loader,
        start_timeout_s: float = 5.0,
        deployment: str = "Encoder",
    ) -> LoadedReleases[list[str]]:
        held = LoadedReleases(
            watch,  # type: ignore[arg-type]
            using,
            deployment=deployment,
            replica_id=f"{deployment.lower()}-{len(started)}",
            poll_s=POLL_S,
            start_timeout_s=start_timeout_s,
            log=make_logger(io.StringIO()),
        )
        started.append(held)
        held.start()
        return held

    yield begin
    for held in started:
        held.stop()


def test_a_replica_starts_with_the_active_release_loaded(store: ReleaseStore, start: Start) -> None:
    release_id = activate(store, release_of("one"))
    held = start()
    assert held.get(release_id).release.release_id == release_id
    assert load_state(store, release_id) == "ready"


def test_a_replica_starts_where_nothing_is_active(start: Start) -> None:
    with pytest.raises(UnknownReleaseError, match="only none"):
        start().get("rel-nothing")


def test_a_release_that_is_staged_is_loaded_beside_the_active_one(
    store: ReleaseStore, start: Start, loader: PlainLoader
) -> None:
    one = activate(store, release_of("one"))
    held = start()
    two = begin_staging(store, release_of("two"))
    until(lambda: load_state(store, two) == "ready")
    assert held.get(one).part != held.get(two).part
    assert len(loader.loaded) == 2
    assert loader.beside == [set(), {one}]


def test_two_releases_of_one_encoder_share_its_part(
    store: ReleaseStore, start: Start, loader: PlainLoader
) -> None:
    same = {"encoder_sha256": "e" * 64}
    one = activate(store, release_of("one", **same))
    held = start()
    two = begin_staging(store, release_of("two", **same))
    until(lambda: load_state(store, two) == "ready")
    assert held.get(one).part is held.get(two).part
    store.fail_staging(two, "enough")
    until(lambda: load_state(store, two) is None)
    assert held.get(one).part == loader.loaded
    assert loader.unloaded == []


def test_a_release_that_is_wanted_no_more_is_let_go_of(
    store: ReleaseStore, start: Start, loader: PlainLoader
) -> None:
    activate(store, release_of("one"))
    two = begin_staging(store, release_of("two"))
    held = start()
    store.fail_staging(two, "enough")
    until(lambda: loader.unloaded == [release_of("two").encoder_sha256])
    with pytest.raises(UnknownReleaseError, match=two):
        held.get(two)


def test_a_failed_load_is_reported_with_its_reason_and_harms_nothing(
    store: ReleaseStore, start: Start, loader: PlainLoader
) -> None:
    one = activate(store, release_of("one"))
    held = start()
    release = release_of("two")
    loader.failing[loader.key(release)] = MemoryShortError("512 MiB are missing.", remedy="Free.")
    two = begin_staging(store, release)
    until(lambda: load_state(store, two) == "failed")
    (replica,) = store.live_replicas()
    assert "512 MiB are missing." in replica.loads[two].message
    assert held.get(one)
    loader.failing.clear()
    until(lambda: load_state(store, two) == "ready")


def test_a_fault_of_ours_in_a_load_does_not_end_the_replica(
    store: ReleaseStore, start: Start, loader: PlainLoader
) -> None:
    activate(store, release_of("one"))
    held = start()
    release = release_of("two")
    loader.failing[loader.key(release)] = ZeroDivisionError("Mrs Secret")
    two = begin_staging(store, release)
    until(lambda: load_state(store, two) == "failed")
    (replica,) = store.live_replicas()
    assert "ZeroDivisionError" in replica.loads[two].message
    assert "Secret" not in replica.loads[two].message
    held.check_alive()


def test_a_part_that_does_not_answer_yet_is_loading_until_it_does(
    store: ReleaseStore, start: Start, loader: PlainLoader
) -> None:
    activate(store, release_of("one"))
    start()
    release = release_of("two")
    loader.failing[loader.key(release)] = UnavailableError("Milvus is away.", remedy="Wait.")
    two = begin_staging(store, release)
    until(lambda: load_state(store, two) == "loading")
    loader.failing.clear()
    until(lambda: load_state(store, two) == "ready")


def test_a_replica_comes_up_without_an_active_release_that_it_cannot_load(
    store: ReleaseStore, start: Start, loader: PlainLoader
) -> None:
    release = release_of("one")
    release_id = activate(store, release)
    folder = "/weights/of/the/server"
    loader.failing[loader.key(release)] = CheckpointError(f"{folder} is damaged.", remedy="Copy.")
    held = start()
    (replica,) = store.live_replicas()
    assert replica.loads[release_id].state == "failed"
    assert folder in replica.loads[release_id].message
    with pytest.raises(UnknownReleaseError, match="ended in checkpoint_invalid") as told:
        held.get(release_id)
    assert folder not in str(told.value), "it goes to whoever asked for a report"
    loader.failing.clear()
    until(lambda: load_state(store, release_id) == "ready")
    assert held.get(release_id)


def test_a_replica_that_starts_loads_the_active_release_before_an_older_warm_one(
    store: ReleaseStore, start: Start
) -> None:
    warm = activate(store, release_of("older"))
    active = activate(store, release_of("newer"))
    held = start(using=RoomForOne())
    assert held.get(active)
    (replica,) = store.live_replicas()
    assert {name: load.state for name, load in replica.loads.items()} == {
        active: "ready",
        warm: "failed",
    }


def test_what_answers_is_not_refused_for_the_memory_of_what_is_kept_warm(
    store: ReleaseStore, start: Start
) -> None:
    warm, active = release_of("older"), release_of("newer")
    activate(store, warm)
    held = start(using=(loader := RoomForOne()))
    loader.failing[loader.key(active)] = UnavailableError("Milvus is away.", remedy="Wait.")
    activate(store, active)
    loader.failing.clear()
    until(lambda: load_state(store, active.release_id) == "ready")
    assert held.get(warm.release_id)


def test_after_an_update_of_the_code_the_next_release_is_staged_and_activated(
    store: ReleaseStore, start: Start, loader: PlainLoader
) -> None:
    old, new = release_of("old"), release_of("new")
    activate(store, old)
    loader.failing[loader.key(old)] = ReleaseError("Made with another prompt.", remedy="Build.")
    replicas = [start(deployment=name.title()) for name in DEPLOYMENTS]
    store.add(new, actor="test")
    store.record_gates(new.release_id, PASSED, actor="test")
    settings = Settings(releases=ReleasesSettings(stage_timeout_s=PATIENCE_S))
    stage_release(new.release_id, releases=store, settings=settings, actor="test")
    store.activate(new.release_id, expected_version=1, actor="test")
    assert all(replica.get(new.release_id) for replica in replicas)


def test_at_its_start_a_replica_waits_for_what_the_active_release_needs(
    store: ReleaseStore, start: Start, loader: PlainLoader
) -> None:
    release = release_of("one")
    activate(store, release)
    loader.failing[loader.key(release)] = UnavailableError("Milvus is away.", remedy="Wait.")
    with pytest.raises(UnavailableError, match="Milvus is away"):
        start(start_timeout_s=3 * POLL_S)
    assert store.live_replicas() == ()


def test_a_replica_waits_at_its_start_for_what_does_not_answer_and_then_gives_up(
    store: ReleaseStore, start: Start
) -> None:
    watch = InterruptedStore(store)
    watch.is_away = True
    with pytest.raises(UnavailableError, match="away"):
        start(watch, start_timeout_s=3 * POLL_S)


def test_without_its_store_a_replica_goes_on_with_what_it_holds(
    store: ReleaseStore, start: Start
) -> None:
    one = activate(store, release_of("one"))
    watch = InterruptedStore(store)
    held = start(watch)
    watch.is_away = True
    time.sleep(10 * POLL_S)
    two = begin_staging(store, release_of("two"))
    assert held.get(one)
    held.check_alive()
    watch.is_away = False
    until(lambda: load_state(store, two) == "ready")


def test_a_replica_that_ends_is_not_waited_for(store: ReleaseStore, start: Start) -> None:
    held = start()
    assert len(store.live_replicas()) == 1
    held.stop()
    assert store.live_replicas() == ()


def test_a_replica_that_loads_for_long_goes_on_reporting(store: ReleaseStore, start: Start) -> None:
    class Slow(PlainLoader):
        def load(self, release: Release, held: Collection[Release]) -> list[str]:
            time.sleep(30 * POLL_S)
            return super().load(release, held)

    start(using=Slow())
    two = begin_staging(store, release_of("two"))
    until(lambda: load_state(store, two) == "loading")
    (first,) = store.live_replicas()
    time.sleep(5 * POLL_S)
    (later,) = store.live_replicas()
    assert later.beat_at > first.beat_at
    assert later.loads[two].state == "loading"
    until(lambda: load_state(store, two) == "ready")
