"""A release's whole life on a real Milvus server: rows read back to the bit, alias, drop.

The studies are embedded in this process, the replicas are only said to hold the release, and the
writer is left out: each has tests of its own.
"""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from pirta.errors import CollectionInUseError, UnavailableError
from pirta.pipelines import verify_release as verification
from pirta.pipelines.activation import ALIAS, activate_release
from pirta.pipelines.add_cases import add_cases
from pirta.pipelines.build_release import build_release
from pirta.pipelines.release_gates import GateLimits
from pirta.pipelines.retirement import drop_release, retire_release
from pirta.pipelines.verify_release import verify_release
from pirta.releases.store import ReleaseStore
from pirta.retrieval.lite_server import start_lite_server
from pirta.retrieval.milvus import MilvusIndex
from pirta.settings import IndexSettings, Settings
from tests.ray.releases.plain_embedding import embed_without_ray
from tests.ray.releases.release_parts import (
    settings_with,
    write_encoder,
    write_store,
)

ACTOR = "a test"


@pytest.fixture(autouse=True)
def _light(monkeypatch: pytest.MonkeyPatch) -> None:
    embed_without_ray(monkeypatch)
    monkeypatch.setattr(verification, "count_in_form", lambda _release, prompts: len(prompts))


def test_a_release_is_built_measured_added_to_switched_to_and_dropped(
    releases: ReleaseStore, tmp_path: Path
) -> None:
    store = write_store(tmp_path / "prepared")
    settings = settings_with(write_encoder(tmp_path / "encoder"))
    port = _free_port()
    index = MilvusIndex(f"http://127.0.0.1:{port}", timeout_s=10.0)
    with start_lite_server(tmp_path / "milvus", port):
        first = _built_and_verified(store, settings, index, releases)
        added = add_cases(
            store,
            settings=settings,
            index=index,
            releases=releases,
            actor=ACTOR,
            split="val",
            release_id=first,
        )
        assert added.num_added == 4
        graph = settings.model_copy(update={"index": IndexSettings(flat_up_to_rows=1)})
        second = _built_and_verified(store, graph, index, releases)
        for release_id in (first, second):
            _switch_to(release_id, releases, index)
        retire_release(first, releases=releases, index=index, settings=settings, actor=ACTOR)
        collection = releases.get(first).release.collection
        index.set_alias("someone_elses", collection)
        with pytest.raises(CollectionInUseError, match="someone_elses"):
            drop_release(first, releases=releases, index=index, actor=ACTOR)
        assert releases.get(first).state == "retired"
    # The server starts anew, with the rows and aliases that it had.
    with start_lite_server(tmp_path / "milvus", port):
        assert index.aliases(collection) == ("someone_elses",)
        active = releases.get(second).release
        assert index.aliases(active.collection) == (ALIAS,)
        index.set_alias("someone_elses", active.collection)
        drop_release(first, releases=releases, index=index, actor=ACTOR)
        assert not index.exists(collection)
        assert _built_and_verified(store, settings, index, releases) == first


def test_a_milvus_that_is_away_leaves_a_release_as_it_was(
    releases: ReleaseStore, tmp_path: Path
) -> None:
    store = write_store(tmp_path / "prepared")
    settings = settings_with(write_encoder(tmp_path / "encoder"))
    port = _free_port()
    index = MilvusIndex(f"http://127.0.0.1:{port}", timeout_s=1.0)
    with pytest.raises(UnavailableError):
        build_release(
            store, settings=settings, index=index, releases=releases, actor=ACTOR, split="train"
        )
    assert releases.list() == ()
    with start_lite_server(tmp_path / "milvus", port):
        release_id = build_release(
            store, settings=settings, index=index, releases=releases, actor=ACTOR, split="train"
        ).release_id
    with pytest.raises(UnavailableError):
        _verify(release_id, store, settings, index, releases)
    assert (releases.get(release_id).state, releases.get(release_id).gates) == ("built", ())


def _built_and_verified(
    store: str, settings: Settings, index: MilvusIndex, releases: ReleaseStore
) -> str:
    release = build_release(
        store, settings=settings, index=index, releases=releases, actor=ACTOR, split="train"
    )
    _verify(release.release_id, store, settings, index, releases)
    stored = releases.get(release.release_id)
    assert stored.state == "verified", [gate for gate in stored.gates if not gate.passed]
    return release.release_id


def _verify(
    release_id: str, store: str, settings: Settings, index: MilvusIndex, releases: ReleaseStore
) -> None:
    verify_release(
        release_id,
        settings=settings,
        index=index,
        releases=releases,
        golden_store=store,
        golden_split="val",
        actor=ACTOR,
        limits=GateLimits(golden_minimum=0.0, golden_margin=1.0),
    )


def _switch_to(release_id: str, releases: ReleaseStore, index: MilvusIndex) -> None:
    releases.begin_staging(release_id, actor=ACTOR)
    releases.finish_staging(release_id)
    switched = activate_release(
        release_id,
        releases=releases,
        index=index,
        settings=Settings(),
        expected_version=None,
        actor=ACTOR,
    )
    assert switched.alias_problem == ""


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
