"""What a training job is given by mistake: told before the first step, with what and how many."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from bench import synthetic_store
from pirta.errors import CheckpointError, FingerprintError, ManifestError, StoreError, TrainingError
from pirta.models.checkpoint import MANIFEST_NAME, write_manifest
from pirta.models.config import demo
from pirta.models.weights import save_weights
from train_jobs.presets import mae_tiny, territory_tiny
from train_jobs.tasks import MAE_KIND, make_mae
from train_jobs.train_mae import train_mae
from train_jobs.train_territory import train_territory
from train_jobs.training_pool import load_training_pool


@pytest.fixture
def store(synthetic_store: str, tmp_path: Path) -> Path:
    """A copy of the synthetic store, to be spoilt."""
    return Path(shutil.copytree(synthetic_store, tmp_path / "store"))


def _array(store: Path, name: str) -> Path:
    (path,) = store.rglob(f"arrays/{name}.npy")
    return path


def _refused(store: Path, tmp_path: Path, kind: type[Exception], match: str) -> None:
    out = tmp_path / "out"
    with pytest.raises(kind, match=match):
        train_mae(mae_tiny(), store=str(store), out=out, with_ray=False)
    assert not out.exists()


def test_a_store_that_lacks_an_array_is_refused(store: Path, tmp_path: Path) -> None:
    _array(store, "train-anterior").unlink()
    _refused(store, tmp_path, ManifestError, r"train-anterior\.npy is missing.*pirta preprocess")


def test_an_array_that_is_cut_short_is_refused(store: Path, tmp_path: Path) -> None:
    path = _array(store, "train-posterior")
    path.write_bytes(path.read_bytes()[:5000])
    _refused(store, tmp_path, ManifestError, r"train-posterior\.npy is damaged")


def test_a_volume_with_values_that_are_no_numbers_is_refused_with_how_many(
    store: Path, tmp_path: Path
) -> None:
    path = _array(store, "train-normal")
    volume = np.load(path)
    volume[0, 40:42, 50, 20] = np.nan
    volume[1, 40, 50, 20] = np.inf
    np.save(path, volume)
    _refused(store, tmp_path, ManifestError, r"train-normal\.npy holds 3 values that are not fin")


def test_a_store_of_strokes_alone_is_refused(store: Path, tmp_path: Path) -> None:
    from pirta.cohort.prepared_store import close_run, read_prepared

    strokes = [row for row in read_prepared(str(store)) if row.case.label != "normal"]
    close_run(str(store), strokes, [])
    out = tmp_path / "out"
    with pytest.raises(ManifestError, match=r"no normal case with a territory map"):
        train_territory(territory_tiny(), store=str(store), out=out, mae=None, with_ray=False)


def test_a_store_of_one_class_trains_on_fresh_lesions_and_says_what_it_cannot_measure(
    store: Path, tmp_path: Path
) -> None:
    """Normal hosts are enough: every label is inserted; held-out figures need strokes."""
    from pirta.cohort.prepared_store import close_run, read_prepared

    normal = [row for row in read_prepared(str(store)) if row.case.label == "normal"]
    close_run(str(store), normal, [])
    settings = territory_tiny().model_copy(update={"num_steps": 2})
    manifest = train_territory(
        settings, store=str(store), out=tmp_path / "out", mae=None, with_ray=False
    )
    assert "val_stroke_specificity" in manifest.metrics
    assert "val_stroke_sensitivity" not in manifest.metrics


def _write_mae(folder: Path, *, fingerprint: str) -> Path:
    settings = mae_tiny()
    save_weights(folder, make_mae(settings), half=True)
    write_manifest(
        folder,
        kind=MAE_KIND,
        config=settings.encoder.model_dump(mode="json"),
        run=settings.model_dump(mode="json"),
        data_sha256="0" * 64,
        preprocessing_fingerprint=fingerprint,
        metrics={},
        command="a test",
    )
    return folder


def test_mae_weights_of_another_preprocessing_are_refused(
    synthetic_store: str, tmp_path: Path
) -> None:
    mae = _write_mae(tmp_path / "mae", fingerprint="another")
    with pytest.raises(FingerprintError, match=r"prepared as another, .* as synthetic"):
        train_territory(
            territory_tiny(), store=synthetic_store, out=tmp_path / "out", mae=mae, with_ray=False
        )


def test_mae_weights_of_another_architecture_or_another_kind_are_refused(
    synthetic_store: str, tmp_path: Path
) -> None:
    mae = _write_mae(tmp_path / "mae", fingerprint="synthetic")
    larger = territory_tiny().model_copy(update={"encoder": demo()})
    fixed = {"store": synthetic_store, "out": tmp_path / "out", "with_ray": False}
    with pytest.raises(CheckpointError, match="another encoder size"):
        train_territory(larger, mae=mae, **fixed)  # type: ignore[arg-type]
    content = json.loads((mae / MANIFEST_NAME).read_text())
    (mae / MANIFEST_NAME).write_text(json.dumps(content | {"kind": "encoder"}))
    with pytest.raises(CheckpointError, match="kind 'encoder', not 'mae'"):
        train_territory(territory_tiny(), mae=mae, **fixed)  # type: ignore[arg-type]


def test_a_run_on_a_gpu_that_is_not_there_is_refused(
    synthetic_store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    settings = mae_tiny().model_copy(update={"use_gpu": True})
    with pytest.raises(TrainingError, match=r"asks for a GPU, and torch sees none.*demo"):
        train_mae(settings, store=synthetic_store, out=tmp_path / "out", with_ray=False)


def test_a_run_folder_that_is_a_file_is_refused(store: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("kept")
    for out in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(StoreError, match="cannot be written"):
            train_mae(mae_tiny(), store=str(store), out=out, with_ray=False)
    assert (tmp_path / "file").read_text() == "kept"


def test_a_run_record_that_is_cut_short_is_told_as_what_it_is(store: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "run.json").write_text('{"name": "mae')
    with pytest.raises(TrainingError, match=r"run\.json is no run record"):
        train_mae(mae_tiny(), store=str(store), out=out, with_ray=False)


def test_guests_of_another_split_are_refused_with_the_command_that_makes_them(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(synthetic_store, "SPLITS", ("index",))
    synthetic_store.write_synthetic_store(str(tmp_path / "guests"))
    with pytest.raises(ManifestError, match="cohort hosts STORE OUT --split train"):
        load_training_pool(str(store), str(tmp_path / "guests"))
