"""A built release against every gate: one that holds all, and one spoilt in each way.

The encoder is real and small, the writer the shipped one; the studies are embedded in this process.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pirta.contracts.release import GateResult, Release
from pirta.contracts.study import Registry
from pirta.errors import CheckpointError, ManifestError, ReleaseStateError
from pirta.pipelines import verify_release as verification
from pirta.pipelines import writer_smoke
from pirta.pipelines.build_release import build_release
from pirta.pipelines.release_gates import GateLimits
from pirta.pipelines.verify_release import verify_release
from pirta.pipelines.writer_smoke import count_in_form
from pirta.releases.store import ReleaseStore
from pirta.reporting.prompt import Prompt, prompt_text
from pirta.retrieval.exact import ExactIndex
from pirta.settings import EncoderSettings, PreprocessingSettings, Settings
from tests.ray.releases.plain_embedding import embed_without_ray
from tests.ray.releases.release_parts import (
    settings_with,
    write_encoder,
)

ACTOR = "a test"
NAMES = (
    "weights", "prompt", "preprocessing", "rows", "checksum", "phi", "recall@5",
    "golden precision@1", "writer smoke test",
)  # fmt: skip
# An untrained encoder finds the right label by chance.
ANY_PRECISION = GateLimits(golden_minimum=0.0)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_with(write_encoder(tmp_path / "encoder"))


@pytest.fixture
def index() -> ExactIndex:
    return ExactIndex()


@pytest.fixture(autouse=True)
def _embedding(monkeypatch: pytest.MonkeyPatch) -> None:
    embed_without_ray(monkeypatch)


@pytest.fixture
def _quick_writer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the writer where it is not the matter: it takes seconds to load."""
    monkeypatch.setattr(verification, "count_in_form", lambda _release, prompts: len(prompts))


@pytest.fixture
def release(store: str, settings: Settings, releases: ReleaseStore, index: ExactIndex) -> Release:
    return build_release(
        store, settings=settings, index=index, releases=releases, actor=ACTOR, split="train"
    )


class Verifier:
    """Verifies with what the test holds, and tells what failed."""

    def __init__(
        self, store: str, settings: Settings, releases: ReleaseStore, index: ExactIndex
    ) -> None:
        self.settings = settings
        self._parts: dict[str, Any] = {"releases": releases, "index": index, "actor": ACTOR}
        self._store = store

    def __call__(
        self, release: Release, *, split: str = "val", limits: GateLimits = ANY_PRECISION
    ) -> dict[str, GateResult]:
        results = verify_release(
            release.release_id,
            settings=self.settings,
            golden_store=self._store,
            golden_split=split,
            limits=limits,
            **self._parts,
        )
        assert tuple(gate.name for gate in results) == NAMES
        return {gate.name: gate for gate in results}

    def failed(self, release: Release) -> dict[str, str]:
        return {name: gate.detail for name, gate in self(release).items() if not gate.passed}


@pytest.fixture
def verify(store: str, settings: Settings, releases: ReleaseStore, index: ExactIndex) -> Verifier:
    return Verifier(store, settings, releases, index)


def test_a_whole_release_holds_every_gate_and_its_numbers_are_kept(
    release: Release, verify: Verifier, releases: ReleaseStore
) -> None:
    gates = verify(release)
    stored = releases.get(release.release_id)
    assert (stored.state, stored.gates) == ("verified", tuple(gates.values()))
    assert (gates["rows"].value, gates["rows"].limit) == (4, 4)
    assert gates["recall@5"].value == 1.0
    assert (gates["writer smoke test"].value, gates["writer smoke test"].limit) == (4, 4)


@pytest.mark.usefixtures("_quick_writer")
def test_the_next_release_is_held_against_the_active_one(
    release: Release,
    verify: Verifier,
    settings: Settings,
    store: str,
    releases: ReleaseStore,
    index: ExactIndex,
    tmp_path: Path,
) -> None:
    first = verify(release)["golden precision@1"]
    assert "no active release" in first.detail
    releases.begin_staging(release.release_id, actor=ACTOR)
    with pytest.raises(ReleaseStateError, match="staging"):
        verify(release)
    releases.finish_staging(release.release_id)
    releases.activate(release.release_id, expected_version=None, actor=ACTOR)
    other = settings.model_copy(
        update={"encoder": EncoderSettings(path=write_encoder(tmp_path / "other", seed=1))}
    )
    candidate = build_release(
        store, settings=other, index=index, releases=releases, actor=ACTOR, split="train"
    )
    gate = verify(candidate, limits=GateLimits(golden_margin=0.25))["golden precision@1"]
    assert gate.limit == max(0.0, first.value - 0.25)
    assert f"the active release has {first.value:.3f}" in gate.detail


@pytest.mark.usefixtures("_quick_writer")
def test_an_active_release_whose_encoder_was_overwritten_is_no_measure_for_the_next(
    release: Release,
    verify: Verifier,
    settings: Settings,
    store: str,
    releases: ReleaseStore,
    index: ExactIndex,
    tmp_path: Path,
) -> None:
    verify(release)
    releases.begin_staging(release.release_id, actor=ACTOR)
    releases.finish_staging(release.release_id)
    releases.activate(release.release_id, expected_version=None, actor=ACTOR)
    settings.encoder.path.rename(tmp_path / "away")
    write_encoder(settings.encoder.path, seed=1)
    candidate = build_release(
        store, settings=settings, index=index, releases=releases, actor=ACTOR, split="train"
    )
    failed = verify.failed(candidate)
    assert set(failed) == {"golden precision@1"}
    assert "not measured: the active release cannot be asked" in failed["golden precision@1"]
    assert release.encoder_sha256[:12] in failed["golden precision@1"]


@pytest.mark.usefixtures("_quick_writer")
def test_rows_that_are_not_the_records_are_found(
    release: Release, verify: Verifier, index: ExactIndex, releases: ReleaseStore
) -> None:
    row = next(index.rows(release.collection))
    live = replace(row, case_id="live-1", origin="live", release_id=release.release_id)
    index.upsert(release.collection, [live])
    assert verify.failed(release) == {}
    index.upsert(release.collection, [replace(row, report_text="other words")])
    assert set(verify.failed(release)) == {"checksum"}
    assert releases.get(release.release_id).state == "rejected"
    index.upsert(release.collection, [row, replace(row, case_id="one-more")])
    assert set(verify.failed(release)) == {"rows", "checksum"}


@pytest.mark.usefixtures("_quick_writer")
def test_a_live_row_that_names_a_person_rejects_the_release_and_is_not_told(
    release: Release, verify: Verifier, index: ExactIndex
) -> None:
    row = next(index.rows(release.collection))
    named = replace(row, case_id="live-1", origin="live", report_text="D/w Dr. Novak, MRN 00445566")
    index.upsert(release.collection, [named])
    failed = verify.failed(release)
    assert set(failed) == {"phi"}
    assert "live-1" in failed["phi"]
    assert "Novak" not in failed["phi"]


def test_damaged_weights_are_found_and_nothing_is_measured_with_them(
    release: Release, verify: Verifier, settings: Settings
) -> None:
    weights = settings.encoder.path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    failed = verify.failed(release)
    assert set(failed) == {"weights", "golden precision@1", "writer smoke test"}
    assert "model.safetensors" in failed["weights"]
    assert "not measured" in failed["writer smoke test"]


@pytest.mark.usefixtures("_quick_writer")
def test_another_encoder_in_the_same_folder_is_not_the_releases(
    release: Release, verify: Verifier, settings: Settings, tmp_path: Path
) -> None:
    other = write_encoder(tmp_path / "other", seed=1)
    settings.encoder.path.rename(tmp_path / "away")
    other.rename(settings.encoder.path)
    assert "the record says" in verify.failed(release)["weights"]


@pytest.mark.usefixtures("_quick_writer")
def test_settings_that_prepare_otherwise_would_fail_every_request_so_the_gate_fails(
    release: Release, verify: Verifier
) -> None:
    other = PreprocessingSettings(n4_iterations=(5,))
    verify.settings = verify.settings.model_copy(update={"preprocessing": other})
    failed = verify.failed(release)
    assert set(failed) == {"preprocessing"}
    assert release.preprocessing_fingerprint in failed["preprocessing"]


@pytest.mark.usefixtures("_quick_writer")
def test_a_collection_that_is_gone_fails_what_would_be_measured_of_it(
    release: Release, verify: Verifier, index: ExactIndex
) -> None:
    index.drop(release.collection)
    failed = verify.failed(release)
    assert set(failed) == set(NAMES[3:])
    assert f"no collection {release.collection}" in failed["recall@5"]


def test_a_golden_store_without_cases_changes_nothing(
    release: Release, verify: Verifier, releases: ReleaseStore
) -> None:
    with pytest.raises(ManifestError, match="train, val"):
        verify(release, split="nothing")
    stored = releases.get(release.release_id)
    assert (stored.state, stored.gates) == ("built", ())


def test_the_shipped_writer_keeps_to_the_form_and_a_rambling_one_is_counted(
    release: Release, monkeypatch: pytest.MonkeyPatch
) -> None:
    sentence = (
        "There is strong small lacune diffusion restriction in the deep gray matter territory."
    )
    prompts = [Prompt(prompt_text(Registry(), [sentence] * 5))] * 2
    assert count_in_form(release, prompts) == 2
    monkeypatch.setattr(writer_smoke, "_answer", lambda *_: "As a language model, I")
    assert count_in_form(release, prompts) == 0


def test_an_adapter_that_does_not_fit_its_base_is_told_as_itself(
    release: Release, verify: Verifier, tmp_path: Path
) -> None:
    empty = release.model_copy(update={"writer_adapter_path": str(tmp_path)})
    with pytest.raises(CheckpointError, match="cannot be loaded together"):
        count_in_form(empty, [])
