"""A folder of prepared studies: sharded arrays, and two tables that say what they are.

    studies.parquet             one row a prepared case: ids, facts, gates, provenance
    dead_letter.parquet         one row a refused case: ids, code, reason, gates
    run.json                    settings, fingerprint, version and commit of the last run
    links.parquet               of scanned folders: from pseudonyms back to paths, which may hold
                                names; `--links` keeps it with the archive and not here
    session.json                who fills the store now; see `pirta.cohort.session_lease`
    shards/NAME/arrays/<case_id>.npy        float16, CXYZ (2, 96, 112, 48): DWI in brain medians,
                                            ADC in 10⁻³ mm²/s, RAS+, 2x2x4 mm, background 0
    shards/NAME/masks/<case_id>.npy         uint8, XYZ, 1 = lesion
    shards/NAME/territories/<case_id>.npy   uint8, XYZ, 1 anterior, 2 deep gray, 3 posterior

The root is local or any fsspec path; the tables' URIs are relative, so a store can be moved.
The two tables appear when a run has ended, each in one step. How a run fills its shards is
`pirta.cohort.shards`; how a study is prepared is no matter of this module.
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pirta.cohort.prepared_rows import (
    REFUSED_SCHEMA,
    STUDY_SCHEMA,
    Facts,
    Row,
    from_row,
    refused_from_row,
    refused_to_row,
    to_row,
)
from pirta.cohort.prepared_rows import PreparedCase as PreparedCase
from pirta.cohort.prepared_rows import RefusedCase as RefusedCase
from pirta.cohort.store_files import exists, join, read_whole, whole_file, write_whole
from pirta.contracts.case import CaseRecord
from pirta.contracts.quality import GateResult
from pirta.contracts.study import CHANNELS, GRID_SHAPE
from pirta.errors import ManifestError

STUDIES = "studies.parquet"
DEAD_LETTER = "dead_letter.parquet"

_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_RUN_AGAIN = "Run `pirta preprocess` for this folder again; it goes on where it stopped."
_START_OVER = "Delete the folder and run `pirta preprocess` again."


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
    rows = read_rows(join(root, STUDIES), STUDY_SCHEMA)
    if rows is None:
        raise ManifestError(f"{root} holds no finished {STUDIES}.", remedy=_RUN_AGAIN)
    if not rows:
        raise ManifestError(
            f"{root} holds no prepared study: all were refused.",
            remedy=f"{DEAD_LETTER} in that folder says why, case by case.",
        )
    try:
        return [_resolved(root, from_row(row)) for row in _in_order(rows)]
    except ValueError:
        raise _bad_row(root) from None


def read_refused(root: str) -> list[RefusedCase]:
    """Return the dead letters of a finished store, in the cohort's order; none: an empty list.

    Raises:
        ManifestError: the table is damaged.
    """
    rows = read_rows(join(root, DEAD_LETTER), REFUSED_SCHEMA) or []
    try:
        return [refused_from_row(row) for row in _in_order(rows)]
    except ValueError:
        raise _bad_row(root) from None


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


def check_case_id(case_id: str) -> None:
    """Refuse an id that cannot be a file's name.

    Raises:
        ManifestError: it has other characters, or too many.
    """
    if not _FILE_NAME.fullmatch(case_id):
        raise ManifestError(
            "A case_id cannot be a file name.",
            remedy="Use up to 128 letters, digits, dots, hyphens and underscores.",
        )


def write_case(
    root: str,
    case: CaseRecord,
    arrays: CaseArrays,
    *,
    fingerprint: str,
    facts: Facts,
    gates: tuple[GateResult, ...] = (),
    folder: str = "",
) -> PreparedCase:
    """Write a case's arrays below `folder` and return its row, with URIs relative to the root.

    Raises:
        ManifestError: the case_id cannot be a file name.
        StoreError: a file cannot be written.
    """
    check_case_id(case.case_id)
    uris = {}
    for kind, values in (
        ("arrays", arrays.volume_CXYZ.astype(np.float16)),
        ("masks", arrays.mask_XYZ),
        ("territories", arrays.territory_XYZ),
    ):
        if values is None:
            continue
        uris[kind] = join(folder, kind, f"{case.case_id}.npy")
        buffer = io.BytesIO()
        np.save(buffer, values, allow_pickle=False)
        write_whole(join(root, uris[kind]), buffer.getvalue())
    return PreparedCase(
        case=case,
        array_uri=uris["arrays"],
        mask_uri=uris.get("masks"),
        territory_uri=uris.get("territories"),
        fingerprint=fingerprint,
        facts=facts,
        gates=gates,
    )


def close_run(root: str, cases: Sequence[PreparedCase], refused: Sequence[RefusedCase]) -> None:
    """Write the tables of a small store at once, in this order; the dead letters first."""
    letters = [refused_to_row(one) for one in refused]
    write_rows(join(root, DEAD_LETTER), numbered(letters), REFUSED_SCHEMA)
    write_rows(join(root, STUDIES), numbered([to_row(one) for one in cases]), STUDY_SCHEMA)


def numbered(rows: Sequence[Row]) -> list[Row]:
    """Return the rows with their place as `position`."""
    return [{**row, "position": place} for place, row in enumerate(rows)]


def is_finished(root: str) -> bool:
    """Say whether a run has ended here."""
    return exists(join(root, STUDIES))


def read_rows(path: str, schema: pa.Schema) -> list[Row] | None:
    """Return a table's rows, or None where there is no such file.

    Raises:
        ManifestError: it is damaged, or lacks a column.
    """
    data = read_whole(path)
    if data is None:
        return None
    try:
        return list(pq.read_table(io.BytesIO(data)).select(schema.names).to_pylist())
    except (pa.ArrowInvalid, KeyError):
        raise ManifestError(
            f"The table {path} is damaged, or from another version.", remedy=_START_OVER
        ) from None


def write_rows(path: str, rows: Sequence[Row], schema: pa.Schema) -> None:
    """Write rows as one table, whole or not at all.

    Raises:
        StoreError: it cannot be written.
    """
    with whole_file(path) as file:
        pq.write_table(pa.Table.from_pylist(list(rows), schema=schema), file)


def _in_order(rows: list[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: int(row["position"] or 0))


def _bad_row(root: str) -> ManifestError:
    return ManifestError(
        f"A row of {root}'s tables cannot be read: it is from another version, or damaged.",
        remedy=_START_OVER,
    )


def _resolved(root: str, case: PreparedCase) -> PreparedCase:
    mask_uri, territory_uri = (
        uri and join(root, uri) for uri in (case.mask_uri, case.territory_uri)
    )
    array_uri = join(root, case.array_uri)
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
