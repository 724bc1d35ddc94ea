"""Raw reports from a file: CSV, Parquet or JSON lines with a text column, one report a row.

A row that holds no usable text is handed on as a `BadRow` with its code, and the file is read
on; only a file that is none of the three ends the run. Texts are patient data: no message here
holds one.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pirta.errors import FileMissingError, FileUnreadableError, ManifestError

SUFFIXES: Final = (".csv", ".parquet", ".jsonl")


@dataclass(frozen=True)
class RawReport:
    """One report: its row in the file (from 1), the id that the file gives it, and its text."""

    row: int
    case_id: str
    text: str


@dataclass(frozen=True)
class BadRow:
    """A row that holds no report, with a stable code and what is wrong with it."""

    row: int
    case_id: str
    code: str
    reason: str


def read_reports(
    path: Path, *, text_column: str, id_column: str, encoding: str = "utf-8-sig"
) -> Iterator[RawReport | BadRow]:
    """Yield the rows of a file in order.

    Raises:
        FileMissingError: there is no such file.
        FileUnreadableError: it is not the kind of file that its ending names.
        ManifestError: it has no such text column, or another ending.
    """
    if not path.is_file():
        raise FileMissingError(f"There is no file {path.name}.", remedy="Check the path.")
    if path.suffix not in SUFFIXES:
        raise ManifestError(
            f"{path.name} ends in none of {', '.join(SUFFIXES)}.",
            remedy="Hand over a CSV or Parquet file, or JSON lines.",
        )
    reader = {".csv": _csv_rows, ".parquet": _parquet_rows, ".jsonl": _json_rows}[path.suffix]
    for number, fields in enumerate(reader(path, text_column, encoding), 1):
        yield _row(number, fields, text_column, id_column)


def _row(
    number: int, fields: Mapping[str, object] | None, text_column: str, id_column: str
) -> RawReport | BadRow:
    if fields is None:
        return BadRow(number, str(number), "file_unreadable", "The row is damaged.")
    case_id = fields.get(id_column)
    name = str(number) if case_id is None or case_id == "" else str(case_id)
    text = fields.get(text_column)
    if not isinstance(text, str):
        return BadRow(number, name, "input_invalid", f"The row has no text in '{text_column}'.")
    return RawReport(number, name, text)


def _csv_rows(path: Path, text_column: str, encoding: str) -> Iterator[Mapping[str, object] | None]:
    try:
        with path.open(encoding=encoding, newline="") as file:
            reader = csv.DictReader(file)
            _check_column(path, text_column, reader.fieldnames or [])
            for fields in reader:
                yield None if None in fields else fields
    except (UnicodeDecodeError, LookupError):
        raise FileUnreadableError(
            f"{path.name} is not text in the encoding {encoding}.",
            remedy="Save it as UTF-8, or name its encoding (Korean Windows: cp949).",
        ) from None
    except csv.Error:
        raise FileUnreadableError(
            f"{path.name} is no CSV: a quoted field does not end, or one is over "
            f"{csv.field_size_limit()} characters.",
            remedy="Write it anew with a CSV library, each text in double quotes.",
        ) from None


def _json_rows(
    path: Path, text_column: str, encoding: str
) -> Iterator[Mapping[str, object] | None]:
    found = None
    try:
        with path.open(encoding=encoding) as file:
            for line in file:
                if line.strip():
                    fields = _json_object(line)
                    found = (found or False) or (fields is not None and text_column in fields)
                    yield fields
    except (UnicodeDecodeError, LookupError):
        raise FileUnreadableError(
            f"{path.name} is not text in the encoding {encoding}.",
            remedy="Save it as UTF-8, or name its encoding.",
        ) from None
    if found is False:
        _check_column(path, text_column, [])


def _json_object(line: str) -> Mapping[str, object] | None:
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return fields if isinstance(fields, dict) else None


def _parquet_rows(path: Path, text_column: str, _: str) -> Iterator[Mapping[str, object] | None]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(path)
        _check_column(path, text_column, file.schema_arrow.names)
        for batch in file.iter_batches(batch_size=1024):
            yield from batch.to_pylist()
    except (pa.ArrowException, OSError):
        raise FileUnreadableError(
            f"{path.name} is no readable Parquet file.", remedy="Write it anew."
        ) from None


def _check_column(path: Path, text_column: str, names: object) -> None:
    columns = [str(name) for name in names] if isinstance(names, (list, tuple)) else []
    if text_column not in columns:
        raise ManifestError(
            f"{path.name} has no column '{text_column}'; it has {len(columns)} others.",
            remedy="Name the column that holds the report's text.",
        )
