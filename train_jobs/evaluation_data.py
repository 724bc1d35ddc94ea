"""What an evaluation is made of: stores named on the command line, and encoders to run on them.

A store's cases become `EvaluationCase`s, embedded once and kept as Parquet below the evaluation's
folder, by encoder and store. It measures nothing.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from pirta.cohort.known_labels import check_labels_known
from pirta.cohort.prepared_store import (
    STUDIES,
    PreparedCase,
    load_labels,
    load_volume,
    read_prepared,
)
from pirta.cohort.store_files import join, read_whole
from pirta.contracts.finding import Label
from pirta.contracts.study import GRID_SPACING_MM
from pirta.errors import FingerprintError, InputError, ManifestError
from pirta.evaluation.embedded_cases import EmbeddedCases
from pirta.evaluation.embedding import EvaluationCase, embed_cases
from pirta.evaluation.embedding_cache import read_embedded, write_embedded
from pirta.models.runtime import LoadedEncoder

EMBEDDINGS = "embeddings"

# [NAME=]STORE[:SPLIT]; the colon of a scheme ("s3://") is followed by slashes and is none.
_DATA = re.compile(r"(?:(?P<name>[A-Za-z0-9_.-]+)=)?(?P<store>.+?)(?::(?P<split>[A-Za-z0-9_-]+))?")
_VOXEL_ML = float(np.prod(GRID_SPACING_MM)) / 1000
# Raised when what is kept of a case changes: older embeddings are then made anew.
_KEPT = "1"


@dataclass(frozen=True)
class DataName:
    """A store's split, and the name under which tables know it; None takes every split."""

    name: str
    store: str
    split: str | None

    def __str__(self) -> str:
        return f"{self.name}={self.store}:{self.split or 'all'}"


def parse_data(text: str) -> DataName:
    """Return what `[NAME=]STORE[:SPLIT]` names; the name defaults to folder and split.

    Raises:
        InputError: it has another form.
    """
    found = _DATA.fullmatch(text)
    if found is None:
        raise InputError(
            f"'{text}' names no data.", remedy="Write [NAME=]STORE[:SPLIT], as in north=store:val."
        )
    split = found["split"]
    folder = found["store"].rstrip("/").rsplit("/", maxsplit=1)[-1]
    words = f"{folder}-{split}" if split else folder
    name = found["name"] or re.sub(r"[^A-Za-z0-9_.-]+", "-", words)
    return DataName(name, found["store"], None if split in (None, "all") else split)


def store_cases(data: DataName, fingerprint: str) -> list[EvaluationCase]:
    """Return a store's cases for the evaluation.

    Raises:
        FingerprintError: a case was prepared in another way.
        ManifestError: the store cannot be read, the split holds no case, or cases whose label
            nobody stated.
    """
    everything = read_prepared(data.store)
    rows = [row for row in everything if data.split is None or row.case.split == data.split]
    if not rows:
        splits = ", ".join(sorted({row.case.split for row in everything}))
        raise ManifestError(
            f"{data.store} holds no case of split '{data.split}'.",
            remedy=f"It has the splits {splits}.",
        )
    check_labels_known(data.store, rows)
    other = [row for row in rows if row.fingerprint != fingerprint]
    if other:
        raise FingerprintError(
            f"{len(other)} of {len(rows)} cases in {data.store} have the preprocessing "
            f"{other[0].fingerprint}, the encoder was trained on {fingerprint}.",
            remedy="Preprocess the cohort again with the encoder's settings.",
        )
    return [_case(row) for row in rows]


def embedded_data(
    encoder: LoadedEncoder,
    data: DataName,
    *,
    folder: Path,
    on_case: Callable[[int, int], None] | None = None,
) -> EmbeddedCases:
    """Return a store's embedded cases, from `folder` where this encoder already made them.

    Raises:
        FingerprintError, ManifestError: as `store_cases`, or a kept file is damaged.
        StoreError: the folder cannot be written.
    """
    key = _key(encoder, data)
    path = folder / EMBEDDINGS / f"{encoder.sha256[:12]}-{key[:12]}.parquet"
    kept = read_embedded(path, key=key)
    if kept is not None:
        return replace(kept, datasets=np.full(len(kept), data.name))
    cases = store_cases(data, encoder.preprocessing_fingerprint)
    tell = None if on_case is None else partial(_tell, on_case, len(cases))
    embedded = embed_cases(encoder, cases, dataset=data.name, on_case=tell)
    write_embedded(path, embedded, key=key)
    return embedded


def studies_sha256(store: str) -> str:
    """Return the hash of a finished store's table.

    Raises:
        ManifestError: there is none.
    """
    table = read_whole(join(store, STUDIES))
    if table is None:
        raise ManifestError(
            f"{store} holds no finished {STUDIES}.",
            remedy="Run `pirta preprocess` for this folder; it goes on where it stopped.",
        )
    return hashlib.sha256(table).hexdigest()


def lesion_ml(row: PreparedCase) -> float | None:
    """Return a lesion's volume: the row's fact `lesion_ml`, else that of its prepared mask.

    0 for a normal study, None where neither is there.

    Raises:
        ManifestError: the mask cannot be read.
    """
    if row.case.label is Label.NORMAL:
        return 0.0
    known = row.facts.get("lesion_ml")
    if isinstance(known, int | float) and not isinstance(known, bool):
        return float(known)
    if row.mask_uri is None:
        return None
    return float(np.count_nonzero(load_labels(row.mask_uri))) * _VOXEL_ML


def _key(encoder: LoadedEncoder, data: DataName) -> str:
    parts = [_KEPT, encoder.sha256, studies_sha256(data.store), data.split or ""]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _case(row: PreparedCase) -> EvaluationCase:
    return EvaluationCase(
        case_id=row.case.case_id,
        patient_id=row.case.patient_id,
        site=row.case.site,
        label=row.case.label,
        load=partial(load_volume, row.array_uri),
        scanner=row.case.scanner,
        lesion_ml=lesion_ml(row),
    )


def _tell(on_case: Callable[[int, int], None], total: int, done: int) -> None:
    on_case(done, total)
