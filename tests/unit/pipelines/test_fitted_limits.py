"""Limits of abstention are taken for the encoder that they were fitted for, and no other."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from pirta.contracts.abstention import AbstentionLimits
from pirta.errors import ManifestError
from pirta.pipelines import fitted_limits
from pirta.pipelines.fitted_limits import limits_for, read_fitted_limits
from pirta.settings import IndexSettings, Settings

LIMITS = AbstentionLimits(min_top_similarity=0.61, min_mean_similarity=0.4, min_confidence=0.83)


def _file(tmp_path: Path, **changes: object) -> Path:
    content = {
        "limits": LIMITS.model_dump(),
        "encoder_sha256": "e" * 64,
        "top_k": 5,
        "held_out": {"coverage": 0.9},
    }
    path = tmp_path / "limits.json"
    path.write_text(json.dumps(content | changes))
    return path


def test_the_limits_of_this_encoder_are_taken(tmp_path: Path) -> None:
    assert read_fitted_limits(_file(tmp_path), encoder_sha256="e" * 64, top_k=5) == LIMITS


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"encoder_sha256": "d" * 64}, "encoder dddddddddddd"),
        ({"top_k": 3}, "3 neighbours"),
        ({"limits": {"min_confidence": 2}}, "min_confidence"),
        ({"limits": None}, "limits"),
    ],
)
def test_limits_of_something_else_are_refused(
    tmp_path: Path, changes: dict[str, object], part: str
) -> None:
    with pytest.raises(ManifestError, match=part):
        read_fitted_limits(_file(tmp_path, **changes), encoder_sha256="e" * 64, top_k=5)


def test_a_missing_file_and_one_that_is_no_json_are_named(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="No such file"):
        read_fitted_limits(tmp_path / "none.json", encoder_sha256="e" * 64, top_k=5)
    (tmp_path / "text.json").write_text("limits")
    with pytest.raises(ManifestError, match="no JSON"):
        read_fitted_limits(tmp_path / "text.json", encoder_sha256="e" * 64, top_k=5)


def test_a_build_takes_the_limits_of_its_own_encoder_and_neighbours_or_cautious_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Path] = []

    def manifest(folder: Path, *, kind: str) -> SimpleNamespace:
        assert kind == "encoder"
        asked.append(folder)
        return SimpleNamespace(sha256="e" * 64)

    monkeypatch.setattr(fitted_limits, "verify_manifest", manifest)
    settings = Settings()
    assert limits_for(_file(tmp_path), settings) == LIMITS
    assert asked == [settings.encoder.path]
    other = settings.model_copy(update={"index": IndexSettings(top_k=3)})
    with pytest.raises(ManifestError, match="5 neighbours"):
        limits_for(_file(tmp_path), other)
    assert limits_for(None, settings) == AbstentionLimits()
