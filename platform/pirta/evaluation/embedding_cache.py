"""Embedded cases on disk: one Parquet file a store and encoder, so that a second run is quick.

The caller's key says what went in (encoder, store, split); a file made from something else is
not taken. One row a case; the two arrays as lists of fixed length. `embedded_bytes` and
`parse_embedded` are for files that lie elsewhere than on a local disk.
"""

from __future__ import annotations

import io
import os
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from pirta.errors import ManifestError, StoreError
from pirta.evaluation.embedded_cases import EmbeddedCases

_KEY = b"pirta_embedding_key"
_ARRAYS = {"embeddings_QD": pa.float32(), "probabilities_QK": pa.float64()}


def embedded_bytes(cases: EmbeddedCases, *, key: str) -> bytes:
    """Return the file's content."""
    columns = {}
    for field in fields(EmbeddedCases):
        values: NDArray[np.generic] = getattr(cases, field.name)
        if field.name in _ARRAYS:
            flat = pa.array(values.reshape(-1), type=_ARRAYS[field.name])
            columns[field.name] = pa.FixedSizeListArray.from_arrays(flat, values.shape[1])
        else:
            columns[field.name] = pa.array(values.tolist())
    table = pa.table(columns).replace_schema_metadata({_KEY: key.encode()})
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    return buffer.getvalue()


def parse_embedded(content: bytes, *, key: str, where: str) -> EmbeddedCases | None:
    """Return the cases of a file's content, or None where it was made from something else.

    Raises:
        ManifestError: the content is damaged; `where` names the file.
    """
    try:
        table = pq.read_table(io.BytesIO(content))
        if (table.schema.metadata or {}).get(_KEY) != key.encode():
            return None
        return EmbeddedCases(*(_column(table, field.name) for field in fields(EmbeddedCases)))
    except (pa.ArrowInvalid, KeyError, ValueError):
        raise ManifestError(
            f"The embeddings in {where} are damaged.", remedy="Delete that file and run again."
        ) from None


def write_embedded(path: Path, cases: EmbeddedCases, *, key: str) -> None:
    """Write the file whole or not at all.

    Raises:
        StoreError: the folder cannot be written.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.write_bytes(embedded_bytes(cases, key=key))
        draft.replace(path)
    except OSError as error:
        if draft.exists():
            draft.unlink()
        raise StoreError(
            f"The embeddings cannot be written to {path.parent}: {error.strerror or error}.",
            remedy="Make room there, or name another --out folder.",
        ) from None


def read_embedded(path: Path, *, key: str) -> EmbeddedCases | None:
    """Return the cases, or None where there is no file or one made from something else.

    Raises:
        ManifestError: the file is damaged.
    """
    if not path.is_file():
        return None
    return parse_embedded(path.read_bytes(), key=key, where=str(path))


def _column(table: pa.Table, name: str) -> NDArray[Any]:
    column = table.column(name).combine_chunks()
    if name not in _ARRAYS:
        return np.array(column.to_pylist())
    flat: NDArray[Any] = column.flatten().to_numpy(zero_copy_only=False)
    return flat.reshape(len(column), column.type.list_size)
