"""A hospital's list of studies: Parquet or CSV, streamed row by row into cases.

Needed columns: case_id, and one way in for each row: study_uri (a folder, an archive, one
Enhanced DICOM or one 4D NIfTI), or dwi_uri with adc_uri, or dwi_uri with b0_uri and
b_value_s_mm2. Known besides: patient_id (else each case is a patient of its own), site, scanner,
split, mask_uri, territory_uri, registry_json, finding_json, report_text: a row with a report text
and no finding is a normal study, one with neither says nothing. Other columns are not looked at.
What the file is, is found from its first bytes. Only the ids are held, to find repeated ones.
Messages name rows and columns, never a cell's content.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ValidationError

from pirta.cohort.prepared_store import check_case_id
from pirta.cohort.store_files import open_filesystem
from pirta.contracts.case import WAYS_IN, CaseRecord
from pirta.contracts.finding import Finding
from pirta.contracts.study import Registry, parse_registry
from pirta.errors import ManifestError, RegistryError
from pirta.storage_errors import storage_errors

COLUMNS = (
    "case_id", "patient_id", "site", "scanner", "split", "study_uri", "dwi_uri", "adc_uri",
    "b0_uri", "b_value_s_mm2", "mask_uri", "territory_uri", "registry_json", "finding_json",
    "report_text",
)  # fmt: skip
_WAYS = (("study_uri",), ("dwi_uri", "adc_uri"), ("dwi_uri", "b0_uri", "b_value_s_mm2"))
_DEFAULTS = {"site": "unknown", "scanner": "unknown", "split": "index"}
_TEXT = ("site", "scanner", "split", "study_uri", "dwi_uri", "adc_uri", "b0_uri", "b_value_s_mm2",
         "mask_uri", "territory_uri")  # fmt: skip
_PARQUET_MAGIC = b"PAR1"
_BATCH_ROWS = 1024
_FIRST_INEXACT = 2**53
_DELIMITERS = ",;\t"

Cells = Mapping[str, Any]


def read_manifest(path: str) -> Iterator[CaseRecord]:
    """Yield the cases of a table, in its order.

    Raises:
        ManifestError: the file is missing, neither Parquet nor CSV, or damaged; a column is
            missing; a row cannot be used; there are no rows, or two share a case_id.
    """
    filesystem, inside = open_filesystem(path)
    try:
        with filesystem.open(inside, "rb") as file:
            is_parquet = file.read(4) == _PARQUET_MAGIC
            file.seek(0)
            rows = _parquet_rows(path, file) if is_parquet else _csv_rows(path, file)
            yield from _unique(path, rows)
    except (FileNotFoundError, IsADirectoryError):
        raise ManifestError(
            f"The manifest {path} does not exist.",
            remedy="Name a Parquet or CSV file, or a folder; `pirta cohort make` writes one.",
        ) from None
    except storage_errors() as error:
        raise ManifestError(
            f"The manifest {path} cannot be read ({type(error).__name__}).",
            remedy="Check its address, credentials and permissions.",
        ) from None


def _unique(path: str, rows: Iterable[tuple[str, Cells]]) -> Iterator[CaseRecord]:
    """Turn named rows into cases, each id once."""
    seen: set[str] = set()
    for place, cells in rows:
        try:
            case = case_of(cells)
        except ManifestError as error:
            raise ManifestError(
                f"{place} of the manifest {path}: {error.message}", remedy=error.remedy
            ) from None
        if case.case_id in seen:
            raise ManifestError(
                f"{place} of the manifest {path}: its case_id stands in an earlier row already.",
                remedy="Each case needs its own case_id.",
            )
        seen.add(case.case_id)
        yield case
    if not seen:
        raise ManifestError(
            f"The manifest {path} holds no cases.", remedy="A manifest needs at least one case."
        )


def case_of(cells: Cells) -> CaseRecord:
    """Return the case of one row; empty cells count as absent.

    Raises:
        ManifestError: it cannot be used, and why.
    """
    given = {name: _text(name, cells.get(name)) for name in COLUMNS}
    case_id = given["case_id"]
    if case_id is None:
        raise _bad("case_id is empty")
    check_case_id(case_id)
    if not any(all(given[name] for name in way) for way in _WAYS):
        raise _bad(f"no complete way in: {WAYS_IN}")
    values = {name: given[name] or _DEFAULTS.get(name) for name in _TEXT}
    try:
        return CaseRecord.model_validate(
            {
                **values,
                "case_id": case_id,
                "patient_id": given["patient_id"] or case_id,
                "registry": _registry(given["registry_json"]),
                "finding": _finding(given["finding_json"]),
                "report_text": given["report_text"] or "",
            }
        )
    except ValidationError as error:
        fields = {".".join(str(part) for part in item["loc"]) for item in error.errors()}
        named = ", ".join(sorted(fields - {""}))
        raise _bad(f"cannot use {named}" if named else f"more than one way in: {WAYS_IN}") from None


def _registry(text: str | None) -> Registry:
    try:
        return Registry() if text is None else parse_registry(json.loads(text))
    except RegistryError as error:
        raise _bad(error.message.rstrip(".")) from None
    except ValueError:
        raise _bad("registry_json is not JSON") from None


def _finding(text: str | None) -> Finding | None:
    try:
        return None if text is None else Finding.model_validate_json(text)
    except ValidationError as error:
        fields = {".".join(str(part) for part in item["loc"]) for item in error.errors()}
        raise _bad(f"cannot use finding_json ({', '.join(sorted(fields))})") from None


def _text(name: str, value: object) -> str | None:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if not isinstance(value, str | int | float):
        raise _bad(f"{name} is neither text nor a number")
    if isinstance(value, float) and value.is_integer():
        if abs(value) >= _FIRST_INEXACT:
            raise _bad(f"{name} is a number of more digits than a float can hold")
        value = int(value)  # a column of whole numbers with gaps comes as floats
    text = str(value) if name == "report_text" else str(value).strip()
    return text or None


def _parquet_rows(path: str, file: Any) -> Iterator[tuple[str, Cells]]:
    try:
        table = pq.ParquetFile(file)
        names = table.schema_arrow.names
        check_columns(path, names)
        known = [name for name in COLUMNS if name in names]
        row = 0
        for batch in table.iter_batches(batch_size=_BATCH_ROWS, columns=known):
            for cells in batch.to_pylist():
                yield f"Row {row}", cells
                row += 1
    except (pa.ArrowInvalid, OSError):
        raise ManifestError(
            f"The manifest {path} is not a Parquet file, or is cut short.",
            remedy="Write it again; `pirta cohort make` does so.",
        ) from None


def _csv_rows(path: str, file: Any) -> Iterator[tuple[str, Cells]]:
    lines = _decoded(path, file)
    first = next(lines, "")
    delimiter = max(_DELIMITERS, key=first.count)
    reader = csv.reader(_again(first, lines), delimiter=delimiter, strict=True)
    try:
        names = [name.strip() for name in next(reader, [])]
        check_columns(path, names)
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) != len(names):
                raise ManifestError(
                    f"Line {reader.line_num} of the manifest {path} has {len(cells)} cells, its "
                    f"header {len(names)}.",
                    remedy="Put text with the delimiter in it between double quotes.",
                )
            yield f"Line {reader.line_num}", dict(zip(names, cells, strict=True))
    except csv.Error:
        raise ManifestError(
            f"Line {reader.line_num} of the manifest {path} is no CSV: a quote is not closed, or "
            "a cell is too long.",
            remedy="Save the table as CSV again, or as Parquet.",
        ) from None


def _decoded(path: str, file: Iterable[bytes]) -> Iterator[str]:
    for number, line in enumerate(file, start=1):
        try:
            text = line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError:
            text = "\0"
        if "\0" in text:
            raise ManifestError(
                f"Line {number} of the manifest {path} is neither UTF-8 text nor Parquet.",
                remedy="Save the table as CSV in UTF-8, or as Parquet.",
            )
        yield text


def _again(first: str, rest: Iterator[str]) -> Iterator[str]:
    yield first
    yield from rest


def check_columns(path: str, names: list[str]) -> None:
    """Refuse a table that cannot hold a usable row.

    Raises:
        ManifestError: a needed column is missing, or a known one stands there twice.
    """
    twice = sorted({name for name in names if names.count(name) > 1 and name in COLUMNS})
    if twice:
        raise ManifestError(
            f"The manifest {path} has the column {twice[0]} more than once.",
            remedy="Keep one of them.",
        )
    if "case_id" not in names:
        missing = "case_id"
    elif not any(set(way) <= set(names) for way in _WAYS):
        missing = f"for a way in ({WAYS_IN})"
    else:
        return
    raise ManifestError(
        f"The manifest {path} lacks the column {missing}.",
        remedy=f"Known columns are {', '.join(COLUMNS)}.",
    )


def _bad(problem: str) -> ManifestError:
    return ManifestError(f"{problem}.", remedy="Correct or remove that row.")
