"""From a prepared store to a release, with Ray Data and a small untrained encoder."""

from __future__ import annotations

import gc
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import ray
import torch

from pirta.cohort.prepared_store import load_volume, read_prepared
from pirta.contracts.encoding import SearchRequest
from pirta.errors import CheckpointError, FingerprintError, ManifestError
from pirta.models.checkpoint import CheckpointManifest, write_manifest
from pirta.models.config import EncoderConfig
from pirta.models.encoder import TerritoryEncoder
from pirta.models.runtime import load_encoder, save_encoder
from pirta.pipelines.build_index import build_index
from pirta.pipelines.embed import EmbeddedCases, embed_cases
from pirta.releases.record import read_release
from pirta.reporting.prompt import prompt_sha256
from pirta.retrieval.exact import ExactIndex
from pirta.settings import EncoderSettings, Settings, WriterSettings

pytestmark = [pytest.mark.ray, pytest.mark.filterwarnings("ignore::ResourceWarning")]

SMALL = EncoderConfig(hidden_size=32, mlp_size=32, num_layers=1, num_heads=2, dimensions=16)


@pytest.fixture(scope="module")
def _cluster() -> Iterator[None]:
    ray.init(num_cpus=4, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()
    with warnings.catch_warnings():  # Ray leaves its ended processes to the garbage collector
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


def _write_part(folder: Path, kind: str, config: dict[str, str]) -> CheckpointManifest:
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    return write_manifest(
        folder,
        kind=kind,
        config=config,
        run={},
        data_sha256="d",
        preprocessing_fingerprint=None,
        metrics={},
        command="test",
    )


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    folder = tmp_path_factory.mktemp("weights")
    encoder = folder / "encoder"
    encoder.mkdir()
    torch.manual_seed(0)
    save_encoder(
        encoder,
        TerritoryEncoder(SMALL),
        run={},
        data_sha256="d",
        preprocessing_fingerprint="synthetic",
        metrics={},
        command="test",
    )
    base = _write_part(folder / "writer_base", "writer_base", {})
    _write_part(folder / "writer_adapter", "writer_adapter", {"base_sha256": base.sha256})
    _write_part(folder / "foreign_adapter", "writer_adapter", {"base_sha256": "0" * 64})
    return Settings(
        encoder=EncoderSettings(path=encoder),
        writer=WriterSettings(
            base_path=folder / "writer_base", adapter_path=folder / "writer_adapter"
        ),
    )


class CountingIndex(ExactIndex):
    """Counts how often a collection is made."""

    num_created = 0

    def create(self, collection: str, dimensions: int) -> None:
        self.num_created += 1
        super().create(collection, dimensions)


@pytest.fixture(scope="module")
def embedded(_cluster: None, synthetic_store: str, settings: Settings) -> EmbeddedCases:
    return embed_cases(read_prepared(synthetic_store)[::-1], encoder=settings.encoder)


@pytest.mark.usefixtures("_cluster")
def test_the_job_gives_what_the_encoder_gives_in_the_order_of_the_cases(
    embedded: EmbeddedCases, synthetic_store: str, settings: Settings
) -> None:
    cases = read_prepared(synthetic_store)[::-1]
    loaded = load_encoder(settings.encoder.path, device="cpu", num_threads=1)
    volumes_BCXYZ = np.stack([load_volume(one.array_uri) for one in cases])
    expected_BD, expected_BK = loaded.embed(volumes_BCXYZ)
    np.testing.assert_allclose(embedded.embeddings_ND, expected_BD, atol=1e-5)
    np.testing.assert_allclose(embedded.probabilities_NK, expected_BK, atol=1e-5)
    assert [one.case.case_id for one in embedded.cases] == [one.case.case_id for one in cases]


@pytest.mark.usefixtures("_cluster")
def test_a_release_names_its_parts_its_index_finds_the_cases_and_a_rebuild_leaves_it_alone(
    embedded: EmbeddedCases, synthetic_store: str, settings: Settings, tmp_path: Path
) -> None:
    index, path, told = CountingIndex(), tmp_path / "release.json", list[tuple[int, int]]()
    release = build_index(
        synthetic_store,
        settings=settings,
        index=index,
        out=path,
        split="train",
        on_progress=lambda done, total: told.append((done, total)),
    )
    assert read_release(path) == release
    assert (release.num_cases, release.dimensions) == (4, 16)
    assert release.prompt_sha256 == prompt_sha256()
    assert release.collection == f"cases_{release.index_sha256[:16]}"
    assert told == [(done, 4) for done in range(1, 5)]
    for one, embedding_D in zip(embedded.cases, embedded.embeddings_ND, strict=True):
        (nearest,) = index.search(SearchRequest(release.collection, embedding_D, 1))
        if one.case.split == "train":
            assert nearest.case_id == one.case.case_id
            assert nearest.similarity == pytest.approx(1, abs=1e-5)
            assert (nearest.finding, nearest.label) == (one.case.finding, one.case.label)
            without = SearchRequest(release.collection, embedding_D, 1, one.case.patient_id)
            assert index.search(without)[0].case_id != one.case.case_id
    again = build_index(synthetic_store, settings=settings, index=index, out=path, split="train")
    assert again.model_copy(update={"commit": release.commit}) == release
    assert index.num_created == 1


@pytest.mark.usefixtures("_cluster")
def test_a_damaged_array_is_told_as_itself(
    synthetic_store: str, settings: Settings, tmp_path: Path
) -> None:
    damaged = tmp_path / "damaged.npy"
    damaged.write_bytes(b"no array")
    case = replace(read_prepared(synthetic_store)[0], array_uri=str(damaged))
    with pytest.raises(ManifestError, match="damaged") as caught:
        embed_cases([case], encoder=settings.encoder)
    assert type(caught.value) is ManifestError


def test_a_split_without_cases_is_refused_with_the_splits_there_are(
    synthetic_store: str, settings: Settings, tmp_path: Path
) -> None:
    with pytest.raises(ManifestError, match="train, val"):
        build_index(
            synthetic_store, settings=settings, index=ExactIndex(), out=tmp_path / "r", split="x"
        )
    with pytest.raises(ManifestError):
        embed_cases([], encoder=settings.encoder)


def test_a_store_prepared_otherwise_is_refused_before_any_worker_starts(
    synthetic_store: str, settings: Settings, tmp_path: Path
) -> None:
    other = tmp_path / "encoder"
    other.mkdir()
    save_encoder(
        other,
        TerritoryEncoder(SMALL),
        run={},
        data_sha256="d",
        preprocessing_fingerprint="prep-other",
        metrics={},
        command="test",
    )
    with pytest.raises(FingerprintError, match="8 of 8 studies were prepared as synthetic"):
        embed_cases(read_prepared(synthetic_store), encoder=EncoderSettings(path=other))


def test_a_missing_writer_is_told_before_anything_is_embedded(
    synthetic_store: str, settings: Settings, tmp_path: Path
) -> None:
    writer = WriterSettings(base_path=tmp_path / "none", adapter_path=tmp_path / "none")
    with pytest.raises(CheckpointError, match="none"):
        build_index(
            synthetic_store,
            settings=settings.model_copy(update={"writer": writer}),
            index=ExactIndex(),
            out=tmp_path / "r.json",
            split="train",
        )
    assert not (tmp_path / "r.json").exists()


def test_an_adapter_of_another_base_is_refused_before_anything_is_embedded(
    settings: Settings, synthetic_store: str, tmp_path: Path
) -> None:
    foreign = settings.writer.adapter_path.parent / "foreign_adapter"
    writer = settings.writer.model_copy(update={"adapter_path": foreign})
    with pytest.raises(CheckpointError, match="was trained on the base 0000"):
        build_index(
            synthetic_store,
            settings=settings.model_copy(update={"writer": writer}),
            index=ExactIndex(),
            out=tmp_path / "release.json",
            split=None,
        )
    assert not (tmp_path / "release.json").exists()
