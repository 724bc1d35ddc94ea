"""From prepared stores and an encoder to a release's limits of abstention."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from numpy.typing import NDArray

from pirta.cohort.prepared_store import read_prepared
from pirta.contracts.abstention import AbstentionLimits
from pirta.contracts.finding import Label
from pirta.models.runtime import LoadedEncoder
from train_jobs.evaluation_data import DataName, embedded_data
from train_jobs.fit_abstention import FitPlan, run_fit
from train_jobs.held_out_evidence import held_out_evidence


@dataclass
class _Knowing:
    """An encoder that knows the order of the synthetic store: one case a label."""

    sha256: str = "a" * 64
    preprocessing_fingerprint: str = "synthetic"

    def embed(
        self, volume_BCXYZ: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        one_hot_BK = np.eye(4, dtype=np.float32)[np.arange(len(volume_BCXYZ)) % 4]
        return one_hot_BK, 0.96 * one_hot_BK + 0.01


ENCODER = cast(LoadedEncoder, _Knowing())


def plan(store: str, work: Path, **changes: Any) -> FitPlan:
    names = {"index": DataName("index", store, "train"), "held_out": DataName("v", store, "val")}
    return FitPlan(**({"others": (), "work": work, "top_k": 1} | names | changes))


def test_the_evidence_is_what_the_nearest_verified_cases_say(
    synthetic_store: str, tmp_path: Path
) -> None:
    rows = {row.case.case_id: row for row in read_prepared(synthetic_store)}
    index = embedded_data(ENCODER, DataName("i", synthetic_store, "train"), folder=tmp_path)
    queries = embedded_data(ENCODER, DataName("q", synthetic_store, "val"), folder=tmp_path)
    found = held_out_evidence(queries, index, rows, top_k=1)
    assert [case.signals.label for case in found.cases] == list(Label)
    assert all(case.is_right for case in found.cases)
    assert found.cases[0].signals.encoder_support == pytest.approx(0.97)
    assert found.cases[0].signals.top_similarity == pytest.approx(1.0)


def test_a_case_never_meets_its_own_patient(synthetic_store: str, tmp_path: Path) -> None:
    rows = {row.case.case_id: row for row in read_prepared(synthetic_store)}
    index = embedded_data(ENCODER, DataName("i", synthetic_store, "train"), folder=tmp_path)
    found = held_out_evidence(index, index, rows, top_k=1)
    assert not any(case.is_right for case in found.cases)
    assert all(case.signals.top_similarity == pytest.approx(0.0) for case in found.cases)


def test_the_fit_gives_limits_that_a_release_can_keep_and_figures_beside_them(
    synthetic_store: str, tmp_path: Path
) -> None:
    other = DataName("again", synthetic_store, "val")
    result = run_fit(plan(synthetic_store, tmp_path, others=(other,)), ENCODER)
    limits = AbstentionLimits.model_validate(result["limits"])
    assert limits.min_confidence == pytest.approx(0.97**0.5)
    assert result["is_reached"]
    assert not result["is_certified"]
    held_out = cast(dict[str, Any], result["held_out"])
    assert (held_out["num_cases"], held_out["accuracy"], held_out["aurc"]) == (4, 1.0, 0.0)
    assert cast(list[Any], result["others"])[0]["coverage"] == 1.0
    assert json.loads(json.dumps(result)) == result
