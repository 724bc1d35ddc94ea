"""The cases a training job draws from, held in memory as they lie in the prepared store.

Axis suffixes: C channels, X Y Z voxels. Volumes stay float16 (2 MB each), label maps uint8.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from pirta.cohort.known_labels import check_labels_known
from pirta.cohort.prepared_store import PreparedCase, load_labels, load_volume, read_prepared
from pirta.contracts.finding import Finding, Label
from pirta.errors import ManifestError
from train_jobs.tuned_patients import patient_hash

NO_HOSTS = "The training store holds no normal case with a territory map."
GUESTS_REMEDY = "Make it with `pirta cohort hosts STORE OUT --split train`, of normals only."
HOSTS_REMEDY = "Make the cohort with territory maps kept, and normal cases in the split."


@dataclass(frozen=True)
class PoolCase:
    """One prepared case; `territory_XYZ` is what makes a normal one a host for lesions."""

    case_id: str
    site: str
    label: Label
    finding: Finding | None
    volume_CXYZ: NDArray[np.float16]
    mask_XYZ: NDArray[np.uint8] | None
    territory_XYZ: NDArray[np.uint8] | None

    @property
    def lesion_known(self) -> bool:
        """Whether it is known where the lesion is; a stroke without a mask has one somewhere."""
        return self.mask_XYZ is not None or self.label is Label.NORMAL


@dataclass(frozen=True)
class TrainingPool:
    """The cases of one split.

    Attributes:
        hosts: normal brains with a territory map.
        by_label: all cases of a label.
        fingerprint: of the preprocessing, the same for all.
        data_sha256: over the ids, findings, volumes, masks and territory maps.
        guests: normal brains of another store, with a territory map each: a hospital's own.
        patients: of all cases and guests, as `tuned_patients.patient_hash` names them.
    """

    hosts: tuple[PoolCase, ...]
    by_label: dict[Label, tuple[PoolCase, ...]]
    fingerprint: str
    data_sha256: str
    guests: tuple[PoolCase, ...] = ()
    patients: frozenset[str] = frozenset()

    @property
    def cases(self) -> tuple[PoolCase, ...]:
        """Every case, label by label."""
        return tuple(case for cases in self.by_label.values() for case in cases)


LoadCases: TypeAlias = Callable[[str, Sequence[PreparedCase]], Iterable[PoolCase]]
"""Given a store and some rows of its table, their cases, in the same order."""


def load_pool(
    store: str,
    *,
    split: str,
    required: bool = True,
    labelled: bool = True,
    load: LoadCases | None = None,
    remedy: str = "Make it from the training cohort.",
) -> TrainingPool:
    """Read one split of a prepared store into memory.

    Args:
        labelled: labels are learnt from; else cases whose label nobody stated are taken too.
        load: brings the cases' arrays; from the store's files where None.
        remedy: what to do where the split is empty.

    Raises:
        ManifestError: the store cannot be read, the split is empty though `required`, its
            volumes were prepared in different ways, or a label that is needed was not stated.
    """
    prepared = read_prepared(store)
    chosen = [row for row in prepared if row.case.split == split]
    if not chosen and required:
        splits = sorted({row.case.split for row in prepared})
        raise ManifestError(
            f"The prepared store {store} has no case in the split '{split}'.",
            remedy=f"It has: {', '.join(splits)}. {remedy}",
        )
    if labelled:
        check_labels_known(store, chosen)
    fingerprints = sorted({row.fingerprint for row in prepared})
    if len(fingerprints) != 1:
        raise ManifestError(
            f"The prepared store {store} mixes {len(fingerprints)} ways of preprocessing.",
            remedy="Preprocess the whole cohort again with one set of settings.",
        )
    cases = map(load_case, chosen) if load is None else load(store, chosen)
    patients = frozenset(patient_hash(row.case.patient_id) for row in chosen)
    return replace(_assemble(cases, fingerprints[0]), patients=patients)


def limited(pool: TrainingPool, num_volumes: int | None) -> TrainingPool:
    """Return a pool of so many cases, the same ones each time, hosts among them; None: all.

    Cases are taken in the order of their ids' hashes, with one host first: without any there
    is nothing to put fresh lesions in. Guests are left out: they would be more volumes. The
    patients stay those of the whole pool: to name one too many is safe.

    Raises:
        ManifestError: the pool holds no normal brain with a territory map.
    """
    if num_volumes is None or num_volumes >= len(pool.cases):
        return pool

    def order(case: PoolCase) -> str:
        return hashlib.sha256(case.case_id.encode()).hexdigest()

    if not pool.hosts:
        raise ManifestError(NO_HOSTS, remedy=HOSTS_REMEDY)
    first = min(pool.hosts, key=order)
    others = sorted((case for case in pool.cases if case is not first), key=order)
    kept = {case.case_id for case in (first, *others[: num_volumes - 1])}
    return replace(
        pool,
        hosts=tuple(case for case in pool.hosts if case.case_id in kept),
        by_label={
            label: tuple(case for case in cases if case.case_id in kept)
            for label, cases in pool.by_label.items()
        },
        guests=(),
        data_sha256=hashlib.sha256(f"{pool.data_sha256} {num_volumes}".encode()).hexdigest(),
    )


def load_training_pool(
    store: str, guests: str | None, *, labelled: bool = True, load: LoadCases | None = None
) -> TrainingPool:
    """Read the split "train" of a store, and the normal brains of a second one as guests.

    Raises:
        ManifestError: see `load_pool`; or the second store holds no normal brain with a
            territory map, or was prepared in another way.
    """
    pool = load_pool(store, split="train", labelled=labelled, load=load)
    if guests is None:
        return pool
    others = load_pool(guests, split="train", load=load, remedy=GUESTS_REMEDY)
    if others.fingerprint != pool.fingerprint:
        raise ManifestError(
            f"The guests' store {guests} was prepared as {others.fingerprint}, the training "
            f"store as {pool.fingerprint}.",
            remedy="Prepare both with the same settings.",
        )
    if not others.hosts:
        raise ManifestError(
            f"The guests' store {guests} holds no normal case with a territory map.",
            remedy=GUESTS_REMEDY,
        )
    both = hashlib.sha256((pool.data_sha256 + others.data_sha256).encode()).hexdigest()
    return replace(
        pool,
        guests=others.hosts,
        data_sha256=both,
        patients=pool.patients | others.patients,
    )


def locate(store: str) -> str:
    """Return the store's address as a worker in another folder can open it.

    Raises:
        ManifestError: the store cannot be read: told here, not by a worker after retries.
    """
    read_prepared(store)
    return store if "://" in store else str(Path(store).resolve())


def _assemble(cases: Iterable[PoolCase], fingerprint: str) -> TrainingPool:
    digest = hashlib.sha256(fingerprint.encode())
    by_label: dict[Label, list[PoolCase]] = {label: [] for label in Label}
    for case in cases:
        by_label[case.label].append(case)
        digest.update(case.case_id.encode())
        digest.update(case.finding.model_dump_json().encode() if case.finding else b"normal")
        for array in (case.volume_CXYZ, case.mask_XYZ, case.territory_XYZ):
            digest.update(b"none" if array is None else np.ascontiguousarray(array).data)
    normal = by_label[Label.NORMAL]
    return TrainingPool(
        hosts=tuple(case for case in normal if case.territory_XYZ is not None),
        by_label={label: tuple(cases_) for label, cases_ in by_label.items()},
        fingerprint=fingerprint,
        data_sha256=digest.hexdigest(),
    )


def load_case(row: PreparedCase) -> PoolCase:
    """Read a case's arrays from the store.

    Raises:
        ManifestError: one is missing or damaged, or holds values that are no numbers.
    """
    volume = load_volume(row.array_uri).astype(np.float16)
    num_odd = int(volume.size - np.isfinite(volume).sum())
    if num_odd:
        raise ManifestError(
            f"The prepared array {row.array_uri} holds {num_odd} values that are not finite.",
            remedy="Prepare that study again, or take its row out of the cohort.",
        )
    return PoolCase(
        case_id=row.case.case_id,
        site=row.case.site,
        label=row.case.label,
        finding=row.case.finding,
        volume_CXYZ=volume,
        mask_XYZ=load_labels(row.mask_uri) if row.mask_uri else None,
        territory_XYZ=load_labels(row.territory_uri) if row.territory_uri else None,
    )
