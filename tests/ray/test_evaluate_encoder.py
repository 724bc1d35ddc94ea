"""The whole command on a small store, figure 5's projection, and what is refused.

Here and not in tests/unit, as UMAP compiles for many seconds; nothing starts Ray.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from pirta.cohort.prepared_store import read_prepared
from pirta.contracts.release import Release
from pirta.errors import (
    CheckpointError,
    FingerprintError,
    InputError,
    IntensityError,
    ReleaseError,
    StoreError,
)
from pirta.evaluation.embedded_cases import EmbeddedCases
from pirta.evaluation.projection import project
from pirta.models.config import tiny
from pirta.models.encoder import TerritoryEncoder
from pirta.models.runtime import save_encoder
from pirta.releases.store import ReleaseStore
from pirta_cli.main import app
from tests.ray.small_disk import small_disk
from train_jobs.evaluate_encoder import EvaluationPlan, run_evaluation
from train_jobs.evaluation_data import parse_data


def _save(folder: Path, *, seed: int = 0, fingerprint: str = "synthetic") -> str:
    torch.manual_seed(seed)
    folder.mkdir()
    manifest = save_encoder(
        folder,
        TerritoryEncoder(tiny()),
        run={},
        data_sha256="d" * 64,
        preprocessing_fingerprint=fingerprint,
        metrics={},
        command="none",
    )
    return manifest.sha256


def _plan(synthetic_store: str, tmp_path: Path, **changes: object) -> EvaluationPlan:
    fields = {
        "encoder": tmp_path / "encoder",
        "index": parse_data(f"{synthetic_store}:train"),
        "data": (parse_data(f"held={synthetic_store}:val"),),
        "out": tmp_path / "out",
        "num_permutations": 0,
        **changes,
    }
    return EvaluationPlan(**fields)  # type: ignore[arg-type]


def test_the_command_fills_one_folder_and_a_second_run_reads_what_was_embedded(
    synthetic_store: str, tmp_path: Path
) -> None:
    sha256 = _save(tmp_path / "encoder")
    _save(tmp_path / "other", seed=1)
    out = tmp_path / "out"
    words = [
        "evaluate", "encoder", "--encoder", str(tmp_path / "encoder"), "--index", synthetic_store,
        "--index-split", "train", "--data", f"held={synthetic_store}:val",
        "--data", f"all={synthetic_store}", "--compare", str(tmp_path / "other"),
        "--out", str(out), "--num-resamples", "20", "--num-permutations", "0",
    ]  # fmt: skip
    first = CliRunner().invoke(app, words)
    assert first.exit_code == 0, first.output
    assert "Confusion" in first.output
    content = json.loads((out / "evaluation.json").read_text())
    assert content["origin"]["encoder"]["sha256"] == sha256
    assert [one["num_cases"] for one in content["origin"]["data"]] == [4, 8]
    assert content["origin"]["validation"]["name"].endswith("-val")
    assert content["evaluation"]["num_in_validation"] == 8
    assert content["comparison"]["num_cases"] == 12
    assert content["origin"]["command"].startswith("pirta evaluate encoder --encoder")
    assert len(list((out / "embeddings").iterdir())) == 6  # train, val and all, by each encoder
    written = {path: path.stat().st_mtime_ns for path in (out / "embeddings").iterdir()}
    tables = (out / "evaluation.md").read_bytes()
    assert CliRunner().invoke(app, words).exit_code == 0
    assert {p: p.stat().st_mtime_ns for p in (out / "embeddings").iterdir()} == written
    assert (out / "evaluation.md").read_bytes() == tables


def test_a_release_names_its_encoder_and_another_is_refused(
    synthetic_store: str, tmp_path: Path
) -> None:
    sha256 = _save(tmp_path / "encoder")
    _save(tmp_path / "other", seed=1)
    required = [name for name, field in Release.model_fields.items() if field.is_required()]
    fields = dict.fromkeys(required, "x") | {"num_cases": 4, "dimensions": 32}
    release = Release.model_validate(
        {**fields, "encoder_path": str(tmp_path / "encoder"), "encoder_sha256": sha256}
    )
    store_url = f"sqlite:///{tmp_path / 'releases.db'}"
    releases = ReleaseStore(store_url)
    releases.migrate()
    releases.add(release, actor="a test")
    releases.close()
    settings = tmp_path / "settings.toml"
    settings.write_text(f'[releases]\nstore_url = "{store_url}"\n')
    words = [
        "evaluate", "encoder", "--release", release.release_id, "--settings", str(settings),
        "--index", synthetic_store, "--data", synthetic_store, "--out", str(tmp_path / "out"),
        "--num-resamples", "0", "--num-permutations", "0",
    ]  # fmt: skip
    assert CliRunner().invoke(app, words).exit_code == 0
    content = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert content["origin"]["release_id"] == release.release_id
    wrong = _plan(synthetic_store, tmp_path, encoder=tmp_path / "other", release=release)
    with pytest.raises(ReleaseError, match="the release rel-"):
        run_evaluation(wrong)


def test_two_data_of_one_name_and_none_are_refused(synthetic_store: str, tmp_path: Path) -> None:
    twice = (parse_data(synthetic_store), parse_data(synthetic_store))
    for data in (twice, ()):
        with pytest.raises(InputError, match="under a name of its own"):
            run_evaluation(_plan(synthetic_store, tmp_path, data=data))


def test_another_preprocessing_is_refused(synthetic_store: str, tmp_path: Path) -> None:
    _save(tmp_path / "encoder", fingerprint="prep-other")
    with pytest.raises(FingerprintError, match="prep-other"):
        run_evaluation(_plan(synthetic_store, tmp_path))


def test_a_damaged_encoder_is_refused(synthetic_store: str, tmp_path: Path) -> None:
    _save(tmp_path / "encoder")
    weights = tmp_path / "encoder" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    with pytest.raises(CheckpointError, match="sha256"):
        run_evaluation(_plan(synthetic_store, tmp_path))


def test_a_nan_volume_is_named_by_its_case(synthetic_store: str, tmp_path: Path) -> None:
    store = str(shutil.copytree(synthetic_store, tmp_path / "store"))
    row = read_prepared(store)[5]
    volume = np.load(row.array_uri)
    volume[0, 40:60, 40:60] = np.nan
    np.save(row.array_uri, volume)
    _save(tmp_path / "encoder")
    with pytest.raises(IntensityError, match=row.case.case_id):
        run_evaluation(_plan(store, tmp_path))


def test_a_full_disk_is_told_and_the_last_results_stay_whole(
    synthetic_store: str, tmp_path: Path
) -> None:
    _save(tmp_path / "encoder")
    plan = _plan(synthetic_store, tmp_path)
    with small_disk(plan.out, "400k"):
        run_evaluation(plan)
        before = {path: path.read_bytes() for path in plan.out.rglob("*.*") if path.is_file()}
        (plan.out / "filler").write_bytes(b"0" * _free(plan.out))
        with pytest.raises(StoreError, match=r"cannot be written .*No space left"):
            run_evaluation(plan)
        after = {path: path.read_bytes() for path in plan.out.rglob("*.*") if path.is_file()}
        assert after == before


def _free(folder: Path) -> int:
    disk = os.statvfs(folder)
    return disk.f_bavail * disk.f_frsize


def test_the_projection_parts_what_the_embedding_parts_and_is_the_same_again() -> None:
    rng = np.random.default_rng(0)
    truths = np.repeat(np.arange(4), 20)
    rows = (4 * np.eye(16)[truths] + 0.3 * rng.normal(size=(80, 16))).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    names = np.array([str(number) for number in range(80)])
    cases = EmbeddedCases(
        names, names, names, names, names, truths, np.zeros(80), rows, np.full((80, 4), 0.25)
    )
    first, again = project(cases), project(cases)
    assert first is not None
    assert again is not None
    assert first.method.startswith("UMAP, cosine")
    assert first.cluster_agreement == 1.0
    assert first.cluster_silhouette > 0.5
    assert first.label_silhouette > 0.8
    np.testing.assert_array_equal(first.plane_QP, again.plane_QP)
    assert project(cases.take(np.arange(15))) is None
    one_kind = project(cases.take(truths == 0))
    assert one_kind is not None
    assert np.isnan(one_kind.label_silhouette)
