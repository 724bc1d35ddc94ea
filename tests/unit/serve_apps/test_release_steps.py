"""A long step of the admin API takes what its command takes, and hands it on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from pirta.contracts.abstention import AbstentionLimits
from pirta.contracts.release import Calibration, Release
from pirta.pipelines import build_release as build_module
from pirta.pipelines import fitted_limits
from pirta.pipelines import verify_release as verify_module
from pirta.pipelines.release_gates import GateLimits
from pirta.settings import ReleasesSettings, Settings
from serve_apps.operations import OperationRequest
from serve_apps.release_steps import run_operation
from tests.unit.serve_apps.releases import new_store, release_of

FITTED = AbstentionLimits(min_top_similarity=0.61)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    new_store(tmp_path).close()
    url = SecretStr(f"sqlite:///{tmp_path / 'releases.db'}")
    return Settings(releases=ReleasesSettings(store_url=url))


@pytest.fixture
def handed_on(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What the pipelines are called with."""
    calls: list[dict[str, Any]] = []

    def build(store: str, **given: Any) -> Release:
        calls.append({"store": store, **given})
        return release_of()

    monkeypatch.setattr(build_module, "build_release", build)
    monkeypatch.setattr(
        verify_module,
        "verify_release",
        lambda release_id, **given: calls.append({"release_id": release_id, **given}),
    )
    return calls


def test_a_build_is_calibrated_as_it_was_asked_for(
    settings: Settings,
    handed_on: list[dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fitted(path: Path | None, given: Settings) -> AbstentionLimits:
        assert given is settings
        return AbstentionLimits() if path is None else FITTED

    monkeypatch.setattr(fitted_limits, "limits_for", fitted)
    asked = OperationRequest(
        kind="build",
        actor="ann",
        store="s",
        min_similarity=0.2,
        min_patients=3,
        abstention="limits.json",
    )
    run_operation(asked, settings)
    run_operation(OperationRequest(kind="build", actor="ann", store="s"), settings)
    assert [one["calibration"] for one in handed_on] == [
        Calibration(min_similarity=0.2, min_patients=3, abstention=FITTED),
        Calibration(),
    ]


def test_a_verification_holds_the_golden_queries_against_the_limits_that_it_was_given(
    settings: Settings, handed_on: list[dict[str, Any]]
) -> None:
    asked = OperationRequest(kind="verify", actor="ann", release_id="rel-1", golden_store="g")
    run_operation(asked, settings)
    run_operation(asked.model_copy(update={"golden_margin": 0.0, "golden_minimum": 0.9}), settings)
    assert [one["limits"] for one in handed_on] == [
        GateLimits(),
        GateLimits(golden_margin=0.0, golden_minimum=0.9),
    ]
