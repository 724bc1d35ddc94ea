"""Whom an encoder learnt from: proved by its record, its data's hash or a split, else refused."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from bench.synthetic_store import write_synthetic_store
from pirta.contracts.finding import Label
from pirta.errors import CheckpointError, OutOfFoldError
from pirta.models.checkpoint import read_manifest, write_manifest
from train_jobs.out_of_fold import Fold, Proof, TrainingStores, check_out_of_fold, find_fold
from train_jobs.presets import mae_tiny, territory_tiny
from train_jobs.train_mae import train_mae
from train_jobs.train_territory import train_territory
from train_jobs.training_pool import load_training_pool
from train_jobs.tuned_patients import TUNED_NAME, patient_hash, read_tuned, write_tuned

TRAIN = [f"train-{label}" for label in Label]
VAL = [f"val-{label}" for label in Label]


def checkpoint(
    folder: Path, *, data_sha256: str = "d" * 64, tuned: list[str] | None = None
) -> Path:
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(b"weights")
    if tuned is not None:
        write_tuned(folder, [patient_hash(patient) for patient in tuned])
    write_manifest(
        folder,
        kind="encoder",
        config={},
        run={},
        data_sha256=data_sha256,
        preprocessing_fingerprint="synthetic",
        metrics={},
        command="made by hand",
    )
    return folder


def test_a_record_names_patients_by_a_hash_and_never_by_their_pseudonym(tmp_path: Path) -> None:
    folder = checkpoint(tmp_path / "encoder", tuned=["sub-0001", "sub-0002", "sub-0001"])
    text = (folder / TUNED_NAME).read_text()
    known = hashlib.sha256(b"pirta patient\nsub-0001").hexdigest()[:32]
    assert known in text
    assert "sub-" not in text
    found = find_fold(folder, None)
    assert (found.proof, len(found.tuned)) == (Proof.RECORD, 2)


def test_training_records_its_patients_and_those_of_the_pretraining(
    synthetic_store: str, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    write_synthetic_store(str(other))
    train_mae(mae_tiny(), store=str(other), out=tmp_path / "mae", with_ray=False)
    mae = tmp_path / "mae" / "weights"
    assert read_tuned(mae) == {patient_hash(patient) for patient in TRAIN}
    write_tuned(mae, [patient_hash("seen-in-pretraining")])
    kept = read_manifest(mae)
    write_manifest(
        mae,
        kind="mae",
        config=kept.config,
        run=kept.run,
        data_sha256=kept.data_sha256,
        preprocessing_fingerprint=kept.preprocessing_fingerprint,
        metrics=kept.metrics,
        command=kept.command,
    )
    out = tmp_path / "territory"
    train_territory(territory_tiny(), store=synthetic_store, out=out, mae=mae, with_ray=False)
    fold = find_fold(out / "weights", None)
    assert fold.tuned == {patient_hash(one) for one in [*TRAIN, "seen-in-pretraining"]}
    check_out_of_fold(fold, VAL, name="val")
    with pytest.raises(OutOfFoldError, match="tuned on 1 of the 5 patients in mixed"):
        check_out_of_fold(fold, [*VAL, "seen-in-pretraining"], name="mixed")


def test_a_record_that_was_changed_or_taken_away_is_refused(tmp_path: Path) -> None:
    folder = checkpoint(tmp_path / "encoder", tuned=["sub-0001"])
    (folder / TUNED_NAME).write_text('{"patients": []}')
    with pytest.raises(CheckpointError, match=TUNED_NAME):
        find_fold(folder, None)
    (folder / TUNED_NAME).unlink()
    with pytest.raises(CheckpointError, match=TUNED_NAME):
        find_fold(folder, None)


def test_a_record_that_the_manifest_does_not_name_proves_nothing(tmp_path: Path) -> None:
    folder = checkpoint(tmp_path / "encoder")
    write_tuned(folder, [])
    with pytest.raises(OutOfFoldError, match="does not say which patients"):
        find_fold(folder, None)


def test_the_very_store_it_was_trained_on_proves_it_by_its_hash(
    synthetic_store: str, tmp_path: Path
) -> None:
    known = load_training_pool(synthetic_store, None).data_sha256
    folder = checkpoint(tmp_path / "encoder", data_sha256=known)
    fold = find_fold(folder, TrainingStores(synthetic_store))
    assert fold == Fold(Proof.DATA, frozenset(patient_hash(patient) for patient in TRAIN))
    check_out_of_fold(fold, [*VAL, "of-another-hospital"], name="val")


def test_another_store_is_refused_with_both_hashes(synthetic_store: str, tmp_path: Path) -> None:
    folder = checkpoint(tmp_path / "encoder")
    known = load_training_pool(synthetic_store, None).data_sha256
    with pytest.raises(OutOfFoldError, match=rf"data {'d' * 12}, the store .* has {known[:12]}"):
        find_fold(folder, TrainingStores(synthetic_store))


def test_a_stores_word_holds_for_its_own_held_out_patients_and_no_others(
    synthetic_store: str, tmp_path: Path
) -> None:
    folder = checkpoint(tmp_path / "encoder")
    fold = find_fold(folder, TrainingStores(synthetic_store, by_split=True))
    assert fold.proof is Proof.SPLIT
    check_out_of_fold(fold, VAL, name="val")
    with pytest.raises(OutOfFoldError, match="tuned on 4 of the 4 patients in train"):
        check_out_of_fold(fold, TRAIN, name="train")
    with pytest.raises(OutOfFoldError, match="tuned on 1 of the 5 patients in x is not known"):
        check_out_of_fold(fold, [*VAL, "of-another-hospital"], name="x")


def test_a_store_prepared_otherwise_or_without_training_cases_is_not_that_store(
    synthetic_store: str, tmp_path: Path
) -> None:
    from pirta.cohort.prepared_store import close_run, read_prepared

    folder = checkpoint(tmp_path / "encoder")
    other = tmp_path / "other"
    write_synthetic_store(str(other), fingerprint="prep-2")
    with pytest.raises(OutOfFoldError, match=r"prepared in another way .*synthetic"):
        find_fold(folder, TrainingStores(str(other), by_split=True))
    held_out = [row for row in read_prepared(synthetic_store) if row.case.split == "val"]
    close_run(str(tmp_path / "held_out"), held_out, [])
    with pytest.raises(OutOfFoldError, match="no split 'train'"):
        find_fold(folder, TrainingStores(str(tmp_path / "held_out"), by_split=True))
