"""The cohort table: one Parquet file, one row a case, local or behind any fsspec path.

Scalar fields are columns; the registry row and the structured finding are JSON columns, since
both may grow. URIs are kept as they were given; `resolve_uri` makes a relative one absolute
from the table's own folder, so that a cohort can be moved. Images are not looked at.
"""

from __future__ import annotations

import posixpath
from collections import Counter
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from pirta.cohort.manifest import COLUMNS, read_manifest
from pirta.cohort.store_files import whole_file
from pirta.contracts.case import CaseRecord
from pirta.errors import ManifestError


def write_cohort(path: str, cases: Sequence[CaseRecord]) -> None:
    """Write the cases as one Parquet file, whole or not at all.

    Raises:
        ManifestError: there are no cases, or two share a case_id.
    """
    _check(path, [case.case_id for case in cases])
    table = pa.table(
        {
            name: pa.array(
                [_cell(case, name) for case in cases],
                pa.float64() if name == "b_value_s_mm2" else pa.string(),
            )
            for name in COLUMNS
        }
    )
    with whole_file(path) as file:
        pq.write_table(table, file)


def read_cohort(path: str) -> list[CaseRecord]:
    """Return the cases of a table (or of any manifest), in its order.

    Raises:
        ManifestError: as `pirta.cohort.manifest.read_manifest`.
    """
    return list(read_manifest(path))


def resolve_uri(cohort_path: str, uri: str) -> str:
    """Return `uri` as it can be opened: a relative one starts at the table's folder,
    which "." names."""
    if "://" in uri or posixpath.isabs(uri):
        return uri
    folder = posixpath.dirname(cohort_path)
    if uri == ".":
        return folder or uri
    return posixpath.join(folder, uri) if folder else uri


def _cell(case: CaseRecord, name: str) -> str | float | None:
    if name == "registry_json":
        return case.registry.model_dump_json()
    if name == "finding_json":
        return None if case.finding is None else case.finding.model_dump_json()
    value: str | float | None = getattr(case, name)
    return value


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
