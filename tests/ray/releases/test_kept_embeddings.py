"""What is embedded once is not embedded again, and nothing is taken for what it is not.

The studies are embedded in this process; that a kill loses one step is tested with Ray elsewhere.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pirta.cohort.prepared_store import PreparedCase, read_prepared
from pirta.errors import ManifestError
from pirta.pipelines import kept_embeddings
from pirta.pipelines.embed import EmbeddedCases
from pirta.pipelines.kept_embeddings import embed_resumably
from pirta.settings import EncoderSettings
from tests.ray.releases.plain_embedding import embed_without_ray
from tests.ray.releases.release_parts import write_encoder

Embed = Callable[..., EmbeddedCases]


@pytest.fixture
def encoder(tmp_path: Path) -> EncoderSettings:
    return EncoderSettings(path=write_encoder(tmp_path / "encoder"))


@pytest.fixture
def embedded_ids(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The ids of each step that was embedded and not read; three cases a step."""
    embed_without_ray(monkeypatch)
    monkeypatch.setattr(kept_embeddings, "STEP_STUDIES", 3)
    steps: list[list[str]] = []
    embed = kept_embeddings.embed_cases

    def counted(cases: list[PreparedCase], **given: Any) -> EmbeddedCases:
        steps.append([one.case.case_id for one in cases])
        return embed(cases, **given)

    monkeypatch.setattr(kept_embeddings, "embed_cases", counted)
    return steps


@pytest.fixture
def embed(store: str, encoder: EncoderSettings, tmp_path: Path) -> Embed:
    def run(**changes: Any) -> EmbeddedCases:
        given = {"store": store, "folder": str(tmp_path / "kept"), "encoder": encoder, **changes}
        return embed_resumably(given.pop("cases", None) or read_prepared(given["store"]), **given)

    return run


def test_a_second_run_reads_every_step_and_gives_the_same(
    embed: Embed, embedded_ids: list[list[str]]
) -> None:
    told: list[tuple[int, int]] = []
    first = embed()
    assert [len(step) for step in embedded_ids] == [3, 3, 2]
    again = embed(on_progress=lambda done, total: told.append((done, total)))
    assert len(embedded_ids) == 3
    assert told == [(3, 8), (6, 8), (8, 8)]
    assert again.cases == first.cases
    np.testing.assert_array_equal(again.embeddings_ND, first.embeddings_ND)
    np.testing.assert_array_equal(again.probabilities_NK, first.probabilities_NK)
    assert again.probabilities_NK.dtype == np.float32


def test_a_case_that_is_left_out_touches_no_step_but_its_own(
    embed: Embed, embedded_ids: list[list[str]], store: str
) -> None:
    embed()
    embedded_ids.clear()
    left_out = read_prepared(store)[4].case.case_id
    rest = embed(left_out=frozenset({left_out}))
    assert [len(step) for step in embedded_ids] == [2]
    assert left_out not in [one.case.case_id for one in rest.cases]
    assert len(rest.embeddings_ND) == 7
    everyone = frozenset(one.case.case_id for one in read_prepared(store))
    with pytest.raises(ManifestError, match="no prepared study"):
        embed(left_out=everyone)


def test_another_encoder_and_studies_prepared_again_are_embedded_anew(
    embed: Embed, embedded_ids: list[list[str]], store: str, tmp_path: Path
) -> None:
    first = embed()
    other = EncoderSettings(path=write_encoder(tmp_path / "other", seed=1))
    assert not np.allclose(embed(encoder=other).embeddings_ND, first.embeddings_ND)
    assert len(embedded_ids) == 6
    cases = read_prepared(store)
    moved = tmp_path / "again.npy"
    shutil.copy(cases[7].array_uri, moved)
    embed(cases=[*cases[:7], replace(cases[7], array_uri=str(moved))])
    assert len(embedded_ids) == 7
    assert len(list((tmp_path / "kept").iterdir())) == 7


def test_a_store_that_was_moved_keeps_its_embeddings(
    embed: Embed, embedded_ids: list[list[str]], store: str, tmp_path: Path
) -> None:
    embed()
    moved = shutil.copytree(store, tmp_path / "moved")
    embed(store=str(moved))
    assert len(embedded_ids) == 3


def test_a_damaged_file_is_named_with_what_to_do(
    embed: Embed, embedded_ids: list[list[str]], tmp_path: Path
) -> None:
    embed()
    path = next((tmp_path / "kept").iterdir())
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ManifestError, match=rf"{path.name} are damaged\. Delete that file"):
        embed()
