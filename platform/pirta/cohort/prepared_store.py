"""A folder of prepared studies: arrays beside one table that says what they are.

    arrays/<case_id>.npy        float16, CXYZ (2, 96, 112, 48): DWI in brain medians, ADC in
                                10⁻³ mm²/s, RAS+, 2x2x4 mm, background 0
    masks/<case_id>.npy         uint8, XYZ, 1 = lesion
    territories/<case_id>.npy   uint8, XYZ, 1 anterior, 2 deep gray, 3 posterior
    studies.parquet             one row a prepared case; written when a run has ended
    dead_letter.parquet         one row a refused case: case_id, code, reason
    parts/                      outcomes of a run that has not ended; it goes on from them

Every file is written under another name and then renamed, so that none is ever half there.
The root is local or any fsspec path; the table's URIs are relative, so a store can be moved.
How a study is prepared is no matter of this module.
"""

from __future__ import annotations

import io
import json
import posixpath
import re
import uuid
from dataclasses import dataclass, replace

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pydantic import ValidationError

from pirta.contracts.case import CaseRecord
from pirta.contracts.study import CHANNELS, GRID_SHAPE
from pirta.errors import ManifestError

STUDIES = "studies.parquet"
DEAD_LETTER = "dead_letter.parquet"
PARTS = "parts"

_URI_COLUMNS = ("array_uri", "mask_uri", "territory_uri")
_STUDY_COLUMNS = ("case_json", *_URI_COLUMNS, "fingerprint", "facts_json")
_REFUSED_COLUMNS = ("case_id", "code", "reason")
_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_RUN_AGAIN = "Run `pirta preprocess` for this folder again; it goes on where it stopped."
_START_OVER = "Delete the folder and run `pirta preprocess` again."

Facts = dict[str, float | str | bool]


@dataclass(frozen=True)
class PreparedCase:
    """A prepared case: URIs as they can be opened, or relative to the store inside it."""

    case: CaseRecord
    array_uri: str
    mask_uri: str | None
    territory_uri: str | None
    fingerprint: str
    facts: Facts


@dataclass(frozen=True)
class RefusedCase:
    """A case that could not be prepared: the error's stable code, and its text."""

    case_id: str
    code: str
    reason: str


@dataclass(frozen=True)
class CaseArrays:
    """What is stored of one case; see the file's legend."""

    volume_CXYZ: NDArray[np.float32]
    mask_XYZ: NDArray[np.uint8] | None = None
    territory_XYZ: NDArray[np.uint8] | None = None


def read_prepared(root: str) -> list[PreparedCase]:
    """Return the cases of a finished store, in the cohort's order, with URIs to open.

    Raises:
        ManifestError: the run has not ended, the table is damaged, or nothing was prepared.
    """
    rows = _read_table(posixpath.join(root, STUDIES), _STUDY_COLUMNS)
    if rows is None:
        raise ManifestError(f"{root} holds no finished {STUDIES}.", remedy=_RUN_AGAIN)
    if not rows:
        raise ManifestError(
            f"{root} holds no prepared study: all were refused.",
            remedy=f"{DEAD_LETTER} in that folder says why, case by case.",
        )
    return [_resolved(root, _prepared(root, row)) for row in rows]


def read_refused(root: str) -> list[RefusedCase]:
    """Return the dead letters of a finished store; none is an empty list.

    Raises:
        ManifestError: the table is damaged.
    """
    rows = _read_table(posixpath.join(root, DEAD_LETTER), _REFUSED_COLUMNS) or []
    return [RefusedCase(*(row[name] or "" for name in _REFUSED_COLUMNS)) for row in rows]


def load_volume(uri: str) -> NDArray[np.float32]:
    """Return a prepared volume, float32, `(2, 96, 112, 48)`.

    Raises:
        ManifestError: the file is missing, damaged, or of another shape.
    """
    stored = _load(uri, (len(CHANNELS), *GRID_SHAPE))
    return np.asarray(stored, dtype=np.float32)


def load_labels(uri: str) -> NDArray[np.uint8]:
    """Return a prepared mask or territory map, uint8, `(96, 112, 48)`.

    Raises:
        ManifestError: the file is missing, damaged, or of another shape.
    """
    return np.asarray(_load(uri, GRID_SHAPE), dtype=np.uint8)


def write_case(
    root: str, case: CaseRecord, arrays: CaseArrays, *, fingerprint: str, facts: Facts
) -> PreparedCase:
    """Write a case's arrays and return its row, with URIs relative to the root.

    Raises:
        ManifestError: the case_id cannot be a file name.
    """
    if not _FILE_NAME.fullmatch(case.case_id):
        raise ManifestError(
            "A case_id cannot be a file name.",
            remedy="Use up to 128 letters, digits, dots, hyphens and underscores.",
        )
    name = f"{case.case_id}.npy"
    uris = {}
    for folder, values in (
        ("arrays", arrays.volume_CXYZ.astype(np.float16)),
        ("masks", arrays.mask_XYZ),
        ("territories", arrays.territory_XYZ),
    ):
        if values is None:
            continue
        uris[folder] = posixpath.join(folder, name)
        buffer = io.BytesIO()
        np.save(buffer, values, allow_pickle=False)
        _write_whole(posixpath.join(root, uris[folder]), buffer.getvalue())
    return PreparedCase(
        case, uris["arrays"], uris.get("masks"), uris.get("territories"), fingerprint, facts
    )


def write_part(root: str, cases: list[PreparedCase]) -> None:
    """Note that these cases are done, so that a run that is cut off need not redo them."""
    _write_studies(posixpath.join(root, PARTS, f"{uuid.uuid4().hex}.parquet"), cases)


def read_done(root: str) -> list[PreparedCase]:
    """Return the cases done so far, by ended and by cut-off runs; URIs are relative.

    Raises:
        ManifestError: a table is damaged.
    """
    filesystem, inside = fsspec.core.url_to_fs(posixpath.join(root, PARTS))
    names = filesystem.ls(inside, detail=False) if filesystem.exists(inside) else []
    parts = sorted(posixpath.basename(name) for name in names if name.endswith(".parquet"))
    paths = [posixpath.join(root, STUDIES), *(posixpath.join(root, PARTS, one) for one in parts)]
    done: dict[str, PreparedCase] = {}
    for path in paths:
        for row in _read_table(path, _STUDY_COLUMNS) or []:
            prepared = _prepared(root, row)
            done[prepared.case.case_id] = prepared
    return list(done.values())


def open_run(root: str) -> None:
    """Take a finished store's tables away: its arrays are about to change.

    What was done stays noted under `parts/`.
    """
    done = read_done(root)
    if done:
        write_part(root, done)
    for name in (STUDIES, DEAD_LETTER):
        filesystem, inside = fsspec.core.url_to_fs(posixpath.join(root, name))
        if filesystem.exists(inside):
            filesystem.rm(inside)


def close_run(root: str, cases: list[PreparedCase], refused: list[RefusedCase]) -> None:
    """Write the store's two tables, the dead letters first, and drop the parts."""
    letters = _text_table([vars(one) for one in refused], _REFUSED_COLUMNS)
    _write_table(posixpath.join(root, DEAD_LETTER), letters)
    _write_studies(posixpath.join(root, STUDIES), cases)
    filesystem, inside = fsspec.core.url_to_fs(posixpath.join(root, PARTS))
    if filesystem.exists(inside):
        filesystem.rm(inside, recursive=True)


def to_row(case: PreparedCase) -> dict[str, str | None]:
    """Return a case as one row of text columns."""
    return {
        "case_json": case.case.model_dump_json(),
        "array_uri": case.array_uri,
        "mask_uri": case.mask_uri,
        "territory_uri": case.territory_uri,
        "fingerprint": case.fingerprint,
        "facts_json": json.dumps(case.facts),
    }


def from_row(row: dict[str, str | None]) -> PreparedCase:
    """Return the case of a row that `to_row` made.

    Raises:
        ValueError: the row's JSON cannot be read.
    """
    return PreparedCase(
        case=CaseRecord.model_validate_json(row["case_json"] or ""),
        array_uri=row["array_uri"] or "",
        mask_uri=row["mask_uri"],
        territory_uri=row["territory_uri"],
        fingerprint=row["fingerprint"] or "",
        facts=json.loads(row["facts_json"] or "{}"),
    )


def _prepared(root: str, row: dict[str, str | None]) -> PreparedCase:
    try:
        return from_row(row)
    except (ValidationError, ValueError):
        raise ManifestError(
            f"A row of {root}'s tables cannot be read: it is from another version, or damaged.",
            remedy=_START_OVER,
        ) from None


def _resolved(root: str, case: PreparedCase) -> PreparedCase:
    mask_uri, territory_uri = (
        uri and posixpath.join(root, uri) for uri in (case.mask_uri, case.territory_uri)
    )
    array_uri = posixpath.join(root, case.array_uri)
    return replace(case, array_uri=array_uri, mask_uri=mask_uri, territory_uri=territory_uri)


def _load(uri: str, shape: tuple[int, ...]) -> NDArray[np.generic]:
    try:
        with fsspec.open(uri, "rb") as file:
            values: NDArray[np.generic] = np.load(io.BytesIO(file.read()), allow_pickle=False)
    except FileNotFoundError:
        raise ManifestError(f"The prepared array {uri} is missing.", remedy=_RUN_AGAIN) from None
    except (ValueError, EOFError):
        raise ManifestError(f"The prepared array {uri} is damaged.", remedy=_START_OVER) from None
    if values.shape != shape:
        message = f"The prepared array {uri} has shape {values.shape}, not {shape}."
        raise ManifestError(message, remedy=_START_OVER)
    return values


def _write_studies(path: str, cases: list[PreparedCase]) -> None:
    _write_table(path, _text_table([to_row(one) for one in cases], _STUDY_COLUMNS))


def _text_table(rows: list[dict[str, str | None]], columns: tuple[str, ...]) -> pa.Table:
    return pa.table({name: pa.array([row[name] for row in rows], pa.string()) for name in columns})


def _write_table(path: str, table: pa.Table) -> None:
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    _write_whole(path, buffer.getvalue())


def _read_table(path: str, columns: tuple[str, ...]) -> list[dict[str, str | None]] | None:
    """Return a table's rows, or None where there is no such file."""
    try:
        with fsspec.open(path, "rb") as file:
            table = pq.read_table(io.BytesIO(file.read()))
        return list(table.select(list(columns)).to_pylist())
    except FileNotFoundError:
        return None
    except (pa.ArrowInvalid, KeyError):
        raise ManifestError(
            f"The table {path} is damaged, or from another version.",
            remedy=_START_OVER,
        ) from None


def _write_whole(path: str, data: bytes) -> None:
    filesystem, inside = fsspec.core.url_to_fs(path)
    filesystem.makedirs(posixpath.dirname(inside), exist_ok=True)
    temporary = f"{inside}.{uuid.uuid4().hex[:8]}.part"
    with filesystem.open(temporary, "wb") as file:
        file.write(data)
    filesystem.mv(temporary, inside)
