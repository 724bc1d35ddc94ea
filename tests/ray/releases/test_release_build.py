"""From a prepared store to a release in the store of releases, with Ray Data and a real encoder."""

from __future__ import annotations

import gc
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import ray

from pirta.cohort.prepared_store import load_volume, read_prepared
from pirta.contracts.access import SearchPolicy
from pirta.contracts.encoding import SearchRequest
from pirta.errors import (
    ManifestError,
)
from pirta.models.runtime import load_encoder
from pirta.pipelines import kept_embeddings
from pirta.pipelines.build_release import build_release
from pirta.pipelines.embed import EmbeddedCases, embed_cases
from pirta.pipelines.local_ray import start_local_ray
from pirta.releases.store import ReleaseStore
from pirta.reporting.prompt import prompt_sha256
from pirta.retrieval.exact import ExactIndex
from pirta.retrieval.index import rows_sha256
from pirta.settings import IndexSettings, Settings

pytestmark = [pytest.mark.ray, pytest.mark.filterwarnings("ignore::ResourceWarning")]

ACTOR = "a test"
WAIT_S = 120.0


@pytest.fixture(scope="module")
def _cluster() -> Iterator[None]:
    start_local_ray(4)
    yield
    ray.shutdown()
    with warnings.catch_warnings():  # Ray leaves its ended processes to the garbage collector
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.fixture(scope="module")
def embedded(_cluster: None, store: str, settings: Settings) -> EmbeddedCases:
    return embed_cases(read_prepared(store)[::-1], encoder=settings.encoder)


@pytest.mark.usefixtures("_cluster")
def test_the_job_gives_what_the_encoder_gives_in_the_order_of_the_cases(
    embedded: EmbeddedCases, store: str, settings: Settings
) -> None:
    cases = read_prepared(store)[::-1]
    loaded = load_encoder(settings.encoder.path, device="cpu", num_threads=1)
    volumes_BCXYZ = np.stack([load_volume(one.array_uri) for one in cases])
    expected_BD, expected_BK = loaded.embed(volumes_BCXYZ)
    np.testing.assert_array_equal(embedded.embeddings_ND, expected_BD)
    np.testing.assert_allclose(embedded.probabilities_NK, expected_BK, atol=1e-5)
    assert [one.case.case_id for one in embedded.cases] == [one.case.case_id for one in cases]


@pytest.mark.usefixtures("_cluster")
def test_a_release_names_its_parts_and_its_collection_holds_the_cases(
    embedded: EmbeddedCases, store: str, settings: Settings, releases: ReleaseStore
) -> None:
    index, told = ExactIndex(), list[tuple[int, int, str]]()
    release = build_release(
        store,
        settings=settings,
        index=index,
        releases=releases,
        actor=ACTOR,
        split="train",
        on_progress=lambda *now: told.append(now),
    )
    stored = releases.get(release.release_id)
    assert (stored.release, stored.state) == (release, "built")
    assert (release.num_cases, release.dimensions, release.index_kind) == (4, 16, "FLAT")
    assert release.prompt_sha256 == prompt_sha256()
    assert release.calibration.top_k == settings.index.top_k
    rows = list(index.rows(release.collection))
    assert rows_sha256(rows) == release.index_sha256
    assert release.collection == f"cases_flat_{release.index_sha256[:16]}"
    assert {row.origin for row in rows} == {"build"}
    assert {row.report_text for row in rows} == {"known"}
    assert told[-2:] == [(4, 4, "embedded"), (4, 4, "indexed")]
    for one, embedding_D in zip(embedded.cases, embedded.embeddings_ND, strict=True):
        nearest = _nearest(index, release.collection, embedding_D)
        if one.case.split == "train":
            assert nearest == one.case.case_id
            other = _nearest(index, release.collection, embedding_D, one.case.patient_id)
            assert other != one.case.case_id


def _nearest(
    index: ExactIndex,
    collection: str,
    embedding_D: np.ndarray,
    patient_id: str | None = None,
) -> str:
    policy = SearchPolicy(exclude_patient_ids=frozenset({patient_id} - {None}))
    (nearest,) = index.search(SearchRequest("rel", collection, embedding_D, 1, policy))
    return nearest.case_id


@pytest.mark.usefixtures("_cluster")
def test_building_again_embeds_nothing_makes_nothing_and_leaves_live_rows(
    store: str, settings: Settings, releases: ReleaseStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = ExactIndex()

    def build() -> str:
        return build_release(
            store, settings=settings, index=index, releases=releases, actor=ACTOR, split="train"
        ).release_id

    release_id = build()
    collection = releases.get(release_id).release.collection
    built = next(index.rows(collection))
    live = replace(built, case_id="signed-later", origin="live", release_id=release_id)
    index.upsert(collection, [live])

    def refuse(*_given: object, **_named: object) -> None:
        raise AssertionError("everything is there already")

    monkeypatch.setattr(kept_embeddings, "embed_cases", refuse)
    with monkeypatch.context() as patch:
        for name in ("upsert", "drop"):  # `create` refuses a collection that is there by itself
            patch.setattr(index, name, refuse)
        assert build() == release_id
    assert index.get(collection, ["signed-later"]) == (live,)
    # A row that another hand spoilt is made right again, and no other is touched.
    index.upsert(collection, [replace(built, site="elsewhere")])
    assert build() == release_id
    assert index.get(collection, [built.case_id])[0].site == built.site
    assert index.count(collection) == 5


@pytest.mark.usefixtures("_cluster")
def test_a_damaged_array_is_told_as_itself(store: str, settings: Settings, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.npy"
    damaged.write_bytes(b"no array")
    case = replace(read_prepared(store)[0], array_uri=str(damaged))
    with pytest.raises(ManifestError, match="damaged") as caught:
        embed_cases([case], encoder=settings.encoder)
    assert type(caught.value) is ManifestError


@pytest.mark.usefixtures("_cluster")
def test_withdrawn_cases_are_left_out_and_large_indexes_are_graphs(
    store: str, settings: Settings, releases: ReleaseStore
) -> None:
    releases.withdraw("train-normal", reason="wrong label", actor=ACTOR)
    index = ExactIndex()
    small = settings.model_copy(update={"index": IndexSettings(flat_up_to_rows=2)})
    release = build_release(
        store, settings=small, index=index, releases=releases, actor=ACTOR, split="train"
    )
    assert release.num_cases == 3
    assert (release.index_kind, release.collection[:11]) == ("HNSW", "cases_hnsw_")
    assert not index.get(release.collection, ["train-normal"])
    for name in ("train-anterior", "train-deep_gray", "train-posterior"):
        releases.withdraw(name, reason="wrong label", actor=ACTOR)
    with pytest.raises(ManifestError, match="no prepared study"):
        build_release(
            store, settings=small, index=index, releases=releases, actor=ACTOR, split="train"
        )
