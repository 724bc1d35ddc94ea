"""Newly signed cases into a release that is served; the studies are embedded in this process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pirta.cohort.prepared_store import PreparedCase, load_volume, read_prepared
from pirta.contracts.encoding import SearchRequest
from pirta.contracts.release import GateResult, Release
from pirta.errors import (
    CaseUnknownError,
    DuplicateCaseError,
    FingerprintError,
    ManifestError,
    NoActiveReleaseError,
    ReleaseError,
    ReleaseStateError,
)
from pirta.models.runtime import load_encoder
from pirta.pipelines.add_cases import AddedCases, add_cases
from pirta.pipelines.build_release import build_release
from pirta.pipelines.withdrawal import withdraw_case
from pirta.retrieval.exact import ExactIndex
from pirta.settings import Settings
from tests.ray.releases.plain_embedding import embed_without_ray
from tests.ray.releases.release_parts import (
    open_releases,
    settings_with,
    with_facts,
    write_encoder,
    write_table,
)

ACTOR = "a test"
GATES = (GateResult(name="rows", passed=True, value=4, limit=4),)


class Served:
    """An active release of the split `train`, and what adds the split `val` to it."""

    def __init__(self, store: str, folder: Path) -> None:
        self.store = store
        self.cases = {one.case.case_id: one for one in read_prepared(store)}
        self.settings = settings_with(write_encoder(folder / "encoder"))
        self.releases, self.index = open_releases(folder), ExactIndex()
        self.release = self.build()

    def build(self) -> Release:
        return build_release(
            self.store,
            settings=self.settings,
            index=self.index,
            releases=self.releases,
            actor=ACTOR,
            split="train",
        )

    def activate(self) -> None:
        release_id = self.release.release_id
        self.releases.record_gates(release_id, GATES, actor=ACTOR)
        self.releases.begin_staging(release_id, actor=ACTOR)
        self.releases.finish_staging(release_id)
        self.releases.activate(release_id, expected_version=None, actor=ACTOR)

    def add(self, store: str, **changes: Any) -> tuple[int, int, int, int]:
        given: dict[str, Any] = {"settings": self.settings, "split": "val", **changes}
        done: AddedCases = add_cases(
            store, index=self.index, releases=self.releases, actor=ACTOR, **given
        )
        assert (done.release_id, done.collection) == (
            self.release.release_id,
            self.release.collection,
        )
        return done.num_added, done.num_replaced, done.num_unchanged, done.num_withdrawn

    def nearest(self, case: PreparedCase) -> str:
        loaded = load_encoder(self.settings.encoder.path, device="cpu", num_threads=1)
        embedding_D = loaded.embed(load_volume(case.array_uri)[np.newaxis])[0][0]
        request = SearchRequest("rel", self.release.collection, embedding_D, 1)
        return self.index.search(request)[0].case_id


@pytest.fixture
def served(store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    embed_without_ray(monkeypatch)
    found = Served(store, tmp_path)
    yield found
    found.releases.close()


def test_added_cases_are_found_by_the_next_search_and_say_that_they_came_live(
    served: Served, store: str
) -> None:
    served.activate()
    assert served.nearest(served.cases["val-anterior"]) != "val-anterior"
    assert served.add(store) == (4, 0, 0, 0)
    assert served.nearest(served.cases["val-anterior"]) == "val-anterior"
    (row,) = served.index.get(served.release.collection, ["val-anterior"])
    assert (row.origin, row.release_id) == ("live", served.release.release_id)
    assert served.add(store) == (0, 0, 4, 0)
    told = [one for one in served.releases.events() if one.step == "cases added"]
    assert [(one.actor, one.release_id, one.detail) for one in told] == [
        (ACTOR, served.release.release_id, "4 new, 0 replaced")
    ]
    assert served.build() == served.release
    assert served.index.count(served.release.collection) == 8, "a rebuild leaves live rows"


def test_another_content_of_a_live_case_takes_the_old_ones_place_only_when_told_to(
    served: Served, store: str, tmp_path: Path
) -> None:
    served.activate()
    served.add(store)
    corrected = with_facts(served.cases["val-anterior"], report_text="corrected words")
    table = write_table(tmp_path / "corrected", corrected, served.cases["val-normal"])
    with pytest.raises(
        DuplicateCaseError, match=r"val-anterior\. Nothing was written\..*--replace"
    ):
        served.add(table)
    assert served.add(table, replace=True) == (0, 1, 1, 0)
    (row,) = served.index.get(served.release.collection, ["val-anterior"])
    assert row.report_text == "corrected words"


def test_a_case_that_the_release_was_built_from_is_never_replaced(
    served: Served, tmp_path: Path
) -> None:
    served.activate()
    changed = with_facts(served.cases["train-normal"], report_text="other words")
    table = write_table(tmp_path / "changed", changed, served.cases["val-normal"])
    for replace in (False, True):
        with pytest.raises(DuplicateCaseError, match="train-normal"):
            served.add(table, split="all", replace=replace)
    assert served.index.count(served.release.collection) == 4


def test_a_release_is_named_or_active_and_on_its_way_or_in_service(
    served: Served, store: str
) -> None:
    with pytest.raises(NoActiveReleaseError, match="none is named"):
        served.add(store)
    release_id = served.release.release_id
    assert served.add(store, release_id=release_id) == (4, 0, 0, 0)
    served.releases.begin_retirement(release_id, actor=ACTOR)
    with pytest.raises(ReleaseStateError, match="draining"):
        served.add(store, release_id=release_id)


def test_cases_that_do_not_compare_or_name_a_person_are_refused(
    served: Served, store: str, settings_of_another: Settings, tmp_path: Path
) -> None:
    served.activate()
    named = with_facts(served.cases["val-normal"], site="Novak^Jan")
    with pytest.raises(ManifestError, match="name of a person"):
        served.add(write_table(tmp_path / "named", named))
    other = served.cases["val-normal"]
    otherwise = PreparedCase(**{**vars(other), "fingerprint": "prep-other"})
    with pytest.raises(FingerprintError, match="prep-other"):
        served.add(write_table(tmp_path / "otherwise", otherwise))
    served.settings.encoder.path.rename(tmp_path / "away")
    settings_of_another.encoder.path.rename(served.settings.encoder.path)
    with pytest.raises(ReleaseError, match="was made with"):
        served.add(store)
    assert served.index.count(served.release.collection) == 4


@pytest.fixture
def settings_of_another(tmp_path: Path) -> Settings:
    return settings_with(write_encoder(tmp_path / "another", seed=1))


def test_a_withdrawn_case_is_left_out_and_only_a_known_one_is_withdrawn(
    served: Served, store: str
) -> None:
    served.activate()

    def withdraw(case_id: str, index: ExactIndex | None) -> None:
        withdraw_case(
            case_id, reason="wrong label", releases=served.releases, index=index, actor=ACTOR
        )

    with pytest.raises(CaseUnknownError, match="val-normal"):
        withdraw("val-normal", served.index)
    withdraw("val-normal", None)
    withdraw("train-normal", served.index)
    assert served.releases.withdrawn() == {"val-normal", "train-normal"}
    assert served.add(store) == (3, 0, 0, 1)
