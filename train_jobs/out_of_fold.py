"""Was an encoder never tuned on these patients? Proved from what training recorded, or refused.

Three proofs, the strongest first:

- `record`: the encoder's folder says which patients it learnt from (`tuned_patients`).
- `data`: an encoder without that record, and the prepared store that it was trained on: the hash
  of the store's split `train` equals the one in the encoder's manifest.
- `split`: such an encoder, and a store that a person names as its cohort's, which no hash
  confirms. `pirta train territory` learns from the split `train` alone, so a patient is out of
  fold where that store has them in other splits only. One whom the store does not know is refused.

The split `val` is not learnt from, but the best checkpoint was chosen on it. Whether a neighbour
is the same patient is `held_out_evidence`'s to prevent.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from pirta.cohort.prepared_store import read_prepared
from pirta.errors import OutOfFoldError
from pirta.models.checkpoint import read_manifest
from train_jobs.training_pool import load_training_pool
from train_jobs.tuned_patients import TUNED_NAME, patient_hash, read_tuned

TRAIN_SPLIT = "train"


class Proof(StrEnum):
    """How it is known which patients an encoder learnt from."""

    RECORD = "record"
    DATA = "data"
    SPLIT = "split"


@dataclass(frozen=True)
class TrainingStores:
    """The prepared stores that an encoder without a record is said to have been trained on.

    Attributes:
        by_split: take the store's word where no hash confirms it.
    """

    store: str
    guests: str | None = None
    by_split: bool = False


@dataclass(frozen=True)
class Fold:
    """Patients on both sides of an encoder's training, as `tuned_patients.patient_hash`.

    Attributes:
        held_out: those who are known not to have been learnt from; None is everybody else.
    """

    proof: Proof
    tuned: frozenset[str]
    held_out: frozenset[str] | None = None


def find_fold(encoder: Path, stores: TrainingStores | None) -> Fold:
    """Return whom the encoder in a folder learnt from, by the strongest proof there is.

    Raises:
        OutOfFoldError: the encoder has no record, and no store proves anything.
        CheckpointError: the folder holds no checkpoint, or its record is damaged.
        ManifestError: a store cannot be read.
    """
    tuned = read_tuned(encoder)
    if tuned is not None:
        return Fold(Proof.RECORD, tuned)
    if stores is None:
        raise OutOfFoldError(
            f"The encoder in {encoder} does not say which patients it learnt from: it has no "
            f"{TUNED_NAME}.",
            remedy="Name the prepared store it was trained on (--tuned-on), or train it again.",
        )
    manifest = read_manifest(encoder)
    if stores.by_split:
        return _fold_by_split(stores.store, manifest.preprocessing_fingerprint)
    pool = load_training_pool(stores.store, stores.guests)
    if pool.data_sha256 != manifest.data_sha256:
        raise OutOfFoldError(
            f"The encoder in {encoder} was trained on data {manifest.data_sha256[:12]}, the store "
            f"{stores.store} has {pool.data_sha256[:12]}.",
            remedy="Name the very stores it was trained on (guests too), or say with --by-split "
            "that they are the same cohort's, prepared anew.",
        )
    return Fold(Proof.DATA, pool.patients)


def check_out_of_fold(fold: Fold, patient_ids: Iterable[str], *, name: str) -> None:
    """Refuse patients whom the encoder learnt from, or of whom nobody knows.

    Args:
        name: of the data, for the message.

    Raises:
        OutOfFoldError: there are some; says how many, and names none.
    """
    patients = {patient_hash(patient) for patient in patient_ids}
    num_tuned = len(patients & fold.tuned)
    if num_tuned:
        raise OutOfFoldError(
            f"The encoder was tuned on {num_tuned} of the {len(patients)} patients in {name}.",
            remedy="Name a split that it was not trained on.",
        )
    num_unknown = 0 if fold.held_out is None else len(patients - fold.held_out)
    if num_unknown:
        raise OutOfFoldError(
            f"Whether the encoder was tuned on {num_unknown} of the {len(patients)} patients in "
            f"{name} is not known: the store of its training does not hold them.",
            remedy="Take patients of that store, or an encoder that has a record.",
        )


def _fold_by_split(store: str, fingerprint: str | None) -> Fold:
    rows = read_prepared(store)
    if any(row.fingerprint != fingerprint for row in rows):
        raise OutOfFoldError(
            f"The store {store} was prepared in another way than the encoder's training data "
            f"({fingerprint}): it is not that store.",
            remedy="Name a store of the encoder's cohort, prepared with the encoder's settings.",
        )
    tuned = {patient_hash(row.case.patient_id) for row in rows if row.case.split == TRAIN_SPLIT}
    if not tuned:
        raise OutOfFoldError(
            f"The store {store} has no split '{TRAIN_SPLIT}': the encoder was not trained on it.",
            remedy="Name the store that `pirta train territory` took.",
        )
    everybody = {patient_hash(row.case.patient_id) for row in rows}
    return Fold(Proof.SPLIT, frozenset(tuned), frozenset(everybody - tuned))
