"""The pretraining experiment, whole: three arms trained, measured at home and elsewhere."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from pirta.cohort.prepared_store import close_run, read_prepared
from pirta.errors import ManifestError
from train_jobs.experiment_plans import ARMS, tiny
from train_jobs.pretraining_experiment import run_experiment

pytestmark = pytest.mark.ray


@pytest.fixture
def elsewhere(synthetic_store: str, tmp_path: Path) -> str:
    """The synthetic strokes as another hospital's: it has no normal case."""
    root = str(tmp_path / "elsewhere")
    rows = [
        replace(row, case=row.case.model_copy(update={"site": "site-x", "case_id": f"x-{n}"}))
        for n, row in enumerate(read_prepared(synthetic_store))
        if row.case.finding is not None
    ]
    close_run(root, rows, [])
    return root


def test_three_arms_are_trained_and_measured_at_every_site(
    synthetic_store: str, elsewhere: str, tmp_path: Path
) -> None:
    out = tmp_path / "experiment"
    lines: list[str] = []
    results = run_experiment(
        tiny(), store=synthetic_store, external=[elsewhere], out=out, tell=lines.append
    )
    assert tuple(one.arm for one in results) == ARMS
    assert len({one.encoder.sha256 for one in results}) == 3
    assert not (out / "none" / "mae").exists()
    small, large = (
        json.loads((out / arm / "mae" / "weights" / "manifest.json").read_text())
        for arm in ("small", "large")
    )
    assert (small["run"]["num_volumes"], large["run"]["num_volumes"]) == (2, None)
    assert small["data_sha256"] != large["data_sha256"]
    content = json.loads((out / "experiment.json").read_text(), parse_constant=pytest.fail)
    table = (out / "experiment.md").read_text()
    for arm in ARMS:
        assert set(content["arms"][arm]["sites"]) == {"internal", "site-x"}
        assert f"| site-x | 6 (6) | {arm} |" in table
    assert "not defined" in table  # specificity where there is no normal
    assert (out / "experiment.png").read_bytes().startswith(b"\x89PNG")
    # Again: nothing is trained a second time, and the figures are the same.
    again = run_experiment(tiny(), store=synthetic_store, external=[elsewhere], out=out)
    assert [one.encoder.sha256 for one in again] == [one.encoder.sha256 for one in results]


def test_a_site_in_both_stores_is_refused_before_any_training(
    synthetic_store: str, tmp_path: Path
) -> None:
    out = tmp_path / "experiment"
    with pytest.raises(ManifestError, match="site-a"):
        run_experiment(tiny(), store=synthetic_store, external=[synthetic_store], out=out)
    assert not out.exists()
