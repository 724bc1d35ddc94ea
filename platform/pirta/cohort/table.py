"""The cohort table: one Parquet file, one row a case, local or behind any fsspec path.

Scalar fields are columns; the registry row and the structured finding are JSON columns, since
both may grow. URIs are kept as they were given; `resolve_uri` makes a relative one absolute
from the table's own folder, so that a cohort can be moved. Images are not looked at.
"""

from __future__ import annotations

import json
import posixpath
import uuid
from collections import Counter
from collections.abc import Sequence

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ValidationError

from pirta.contracts.case import CaseRecord
from pirta.contracts.finding import Finding
from pirta.contracts.study import parse_registry
from pirta.errors import ManifestError, RegistryError

_REQUIRED = ("case_id", "patient_id", "site", "scanner", "split", "dwi_uri", "adc_uri")
_OPTIONAL = ("mask_uri", "territory_uri")
COLUMNS = (*_REQUIRED, *_OPTIONAL, "registry_json", "finding_json", "report_text")


def write_cohort(path: str, cases: Sequence[CaseRecord]) -> None:
    """Write the cases as one Parquet file, whole or not at all.

    Raises:
        ManifestError: there are no cases, or two share a case_id.
    """
    _check(path, [case.case_id for case in cases])
    table = pa.table(
        {name: pa.array([_cell(case, name) for case in cases], pa.string()) for name in COLUMNS}
    )
    filesystem, inside = fsspec.core.url_to_fs(path)
    filesystem.makedirs(posixpath.dirname(inside) or ".", exist_ok=True)
    temporary = f"{inside}.{uuid.uuid4().hex[:8]}.part"
    with filesystem.open(temporary, "wb") as file:
        pq.write_table(table, file)
    filesystem.mv(temporary, inside)


def read_cohort(path: str) -> list[CaseRecord]:
    """Return the cases of a table, in its order.

    Raises:
        ManifestError: the file is missing or no Parquet, a column is missing, a row cannot be
            used, there are no rows, or two share a case_id.
    """
    columns = _read_columns(path)
    _check(path, [str(value) for value in columns["case_id"]])
    num_rows = len(columns["case_id"])
    return [
        _case(path, row, {name: columns[name][row] for name in COLUMNS}) for row in range(num_rows)
    ]


def resolve_uri(cohort_path: str, uri: str) -> str:
    """Return `uri` as it can be opened: a relative one starts at the table's folder."""
    if "://" in uri or posixpath.isabs(uri):
        return uri
    folder = posixpath.dirname(cohort_path)
    return posixpath.join(folder, uri) if folder else uri


def _read_columns(path: str) -> dict[str, list[str | None]]:
    try:
        filesystem, inside = fsspec.core.url_to_fs(path)
        with filesystem.open(inside, "rb") as file:
            table = pq.read_table(file)
    except (FileNotFoundError, IsADirectoryError):
        raise ManifestError(
            f"The cohort table {path} does not exist.",
            remedy="Name a cohort.parquet; `pirta cohort make` writes one.",
        ) from None
    except pa.ArrowInvalid:
        raise ManifestError(
            f"The cohort table {path} is not a Parquet file, or is cut short.",
            remedy="Write it again; `pirta cohort make` does so.",
        ) from None
    missing = [name for name in COLUMNS if name not in table.column_names]
    if missing:
        raise ManifestError(
            f"The cohort table {path} lacks the column{'s' * (len(missing) > 1)} "
            f"{', '.join(missing)}.",
            remedy=f"A cohort table has the columns {', '.join(COLUMNS)}.",
        )
    return {name: table.column(name).to_pylist() for name in COLUMNS}


def _case(path: str, row: int, cells: dict[str, str | None]) -> CaseRecord:
    empty = [name for name in (*_REQUIRED, "registry_json") if not cells[name]]
    if empty:
        raise _bad_row(path, row, f"{', '.join(empty)} is empty")
    try:
        finding = cells["finding_json"]
        return CaseRecord(
            **{name: cells[name] for name in (*_REQUIRED, *_OPTIONAL)},
            registry=parse_registry(json.loads(cells["registry_json"] or "")),
            finding=None if finding is None else Finding.model_validate_json(finding),
            report_text=cells["report_text"] or "",
        )
    except ValidationError as error:
        fields = {".".join(str(part) for part in item["loc"]) for item in error.errors()}
        raise _bad_row(path, row, f"cannot use {', '.join(sorted(fields))}") from None
    except RegistryError as error:
        raise _bad_row(path, row, error.message.rstrip(".")) from None
    except ValueError:
        raise _bad_row(path, row, "registry_json is not JSON") from None


def _cell(case: CaseRecord, name: str) -> str | None:
    if name == "registry_json":
        return case.registry.model_dump_json()
    if name == "finding_json":
        return None if case.finding is None else case.finding.model_dump_json()
    value = getattr(case, name)
    return None if value is None else str(value)


def _check(path: str, case_ids: Sequence[str]) -> None:
    if not case_ids:
        raise ManifestError(
            f"The cohort table {path} holds no cases.", remedy="A cohort needs at least one case."
        )
    repeated = sorted(name for name, count in Counter(case_ids).items() if count > 1)
    if repeated:
        raise ManifestError(
            f"The cohort table {path} holds the case_id {repeated[0]} more than once"
            f" ({len(repeated)} such ids).",
            remedy="Each case needs its own case_id.",
        )


def _bad_row(path: str, row: int, problem: str) -> ManifestError:
    return ManifestError(
        f"Row {row} of the cohort table {path}: {problem}.", remedy="Correct or remove that row."
    )
