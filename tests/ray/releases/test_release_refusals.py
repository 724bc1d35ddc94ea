"""What a build refuses, in words that help, before anything is half done."""

from __future__ import annotations

from pathlib import Path

import pytest

from pirta.cohort.prepared_store import read_prepared
from pirta.errors import CheckpointError, DuplicateCaseError, FingerprintError, ManifestError
from pirta.models.checkpoint import write_manifest
from pirta.pipelines.build_release import build_release
from pirta.pipelines.embed import embed_cases
from pirta.releases.store import ReleaseStore
from pirta.retrieval.exact import ExactIndex
from pirta.settings import EncoderSettings, Settings, WriterSettings
from tests.ray.releases.plain_embedding import embed_without_ray
from tests.ray.releases.release_parts import (
    settings_with,
    with_facts,
    write_encoder,
    write_table,
)

pytestmark = [pytest.mark.ray, pytest.mark.filterwarnings("ignore::ResourceWarning")]

ACTOR = "a test"


def test_a_site_that_names_a_person_is_refused_before_a_row_is_written(
    store: str,
    settings: Settings,
    releases: ReleaseStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    embed_without_ray(monkeypatch)
    cases = read_prepared(store)[:3]
    named = with_facts(cases[1], site="Novak^Jan")
    index = ExactIndex()
    with pytest.raises(ManifestError, match=r"1 of 3 .* site: name of a person \(1\)") as caught:
        build_release(
            write_table(tmp_path / "named", cases[0], named, cases[2]),
            settings=settings,
            index=index,
            releases=releases,
            actor=ACTOR,
            split=None,
        )
    assert cases[1].case.case_id in str(caught.value)
    assert "Novak" not in str(caught.value)
    assert not releases.list()


def test_a_case_that_stands_twice_is_refused_unless_it_is_the_same(
    store: str, settings: Settings, releases: ReleaseStore, tmp_path: Path
) -> None:
    first, second = read_prepared(store)[:2]
    other = with_facts(first, report_text="other words")
    with pytest.raises(DuplicateCaseError, match=r"1 case\(s\) stand twice .* train-normal"):
        build_release(
            write_table(tmp_path / "twice", first, second, other),
            settings=settings,
            index=ExactIndex(),
            releases=releases,
            actor=ACTOR,
            split=None,
        )


def test_a_split_without_cases_is_refused_with_the_splits_there_are(
    store: str, settings: Settings, releases: ReleaseStore
) -> None:
    with pytest.raises(ManifestError, match="train, val"):
        build_release(
            store,
            settings=settings,
            index=ExactIndex(),
            releases=releases,
            actor=ACTOR,
            split="x",
        )
    with pytest.raises(ManifestError):
        embed_cases([], encoder=settings.encoder)


def test_a_store_prepared_otherwise_is_refused_before_any_worker_starts(
    store: str, releases: ReleaseStore, tmp_path: Path
) -> None:
    other = write_encoder(tmp_path / "encoder", prepared_as="prep-other")
    with pytest.raises(FingerprintError, match="8 of 8 studies were prepared as prep-"):
        embed_cases(read_prepared(store), encoder=EncoderSettings(path=other))
    with pytest.raises(FingerprintError):
        build_release(
            store,
            settings=settings_with(other),
            index=ExactIndex(),
            releases=releases,
            actor=ACTOR,
            split=None,
        )


@pytest.mark.parametrize("broken", ["missing", "of another base"])
def test_a_writer_that_cannot_be_used_is_told_before_anything_is_embedded(
    broken: str, store: str, settings: Settings, releases: ReleaseStore, tmp_path: Path
) -> None:
    adapter, words = tmp_path / "none", "none"
    if broken == "of another base":
        adapter, words = _foreign_adapter(tmp_path), "was trained on the base 0000"
    writer = WriterSettings(adapter_path=adapter)
    with pytest.raises(CheckpointError, match=words):
        build_release(
            store,
            settings=settings.model_copy(update={"writer": writer}),
            index=ExactIndex(),
            releases=releases,
            actor=ACTOR,
            split=None,
            embeddings=str(tmp_path / "kept"),
        )
    assert not releases.list()
    assert not (tmp_path / "kept").exists()


def _foreign_adapter(folder: Path) -> Path:
    adapter = folder / "foreign_adapter"
    adapter.mkdir()
    (adapter / "config.json").write_text("{}")
    write_manifest(
        adapter,
        kind="writer_adapter",
        config={"base_sha256": "0" * 64},
        run={},
        data_sha256="d",
        preprocessing_fingerprint=None,
        metrics={},
        command="test",
    )
    return adapter
