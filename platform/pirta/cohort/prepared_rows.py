"""One row a study: what became of it, flat enough for SQL, with the whole of it as JSON beside.

A row is a plain dict, so that it goes through a JSON file, a Ray block and a Parquet table
alike. The common facts have columns of their own; `facts_json` and `gates_json` hold all of
them. Nothing is read or written here.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

import pyarrow as pa

from pirta.contracts.case import CaseRecord
from pirta.contracts.quality import GateResult

Scalar: TypeAlias = str | float | int | bool | None
Row: TypeAlias = dict[str, Scalar]
Facts: TypeAlias = dict[str, float | str | bool]

_ORIGIN = {
    "case_id": pa.string(), "patient_id": pa.string(), "site": pa.string(),
    "scanner": pa.string(), "split": pa.string(), "position": pa.int64(),
    "fingerprint": pa.string(), "work_key": pa.string(), "run_id": pa.string(),
    "shard": pa.string(), "attempt": pa.int32(), "seconds": pa.float64(),
    "cpu_seconds": pa.float64(),
    "pirta_version": pa.string(), "commit": pa.string(),
}  # fmt: skip
_FACTS = {
    "brain_ml": pa.float64(), "adc_median": pa.float64(), "adc_unit": pa.string(),
    "stripper": pa.string(), "b_value_s_mm2": pa.float64(), "spacing_x_mm": pa.float64(),
    "spacing_y_mm": pa.float64(), "spacing_z_mm": pa.float64(),
    "slice_thickness_mm": pa.float64(), "warnings": pa.string(),
}  # fmt: skip
_URIS = {"array_uri": pa.string(), "mask_uri": pa.string(), "territory_uri": pa.string()}

STUDY_SCHEMA = pa.schema(
    {
        **_ORIGIN, **_URIS, **_FACTS, "gates_warned": pa.string(),
        "gates_json": pa.string(), "facts_json": pa.string(), "case_json": pa.string(),
    }
)  # fmt: skip
REFUSED_SCHEMA = pa.schema(
    {**_ORIGIN, "code": pa.string(), "reason": pa.string(), "gates_json": pa.string()}
)


@dataclass(frozen=True)
class PreparedCase:
    """A prepared case: URIs as they can be opened, or relative to the store inside it."""

    case: CaseRecord
    array_uri: str
    mask_uri: str | None
    territory_uri: str | None
    fingerprint: str
    facts: Facts
    gates: tuple[GateResult, ...] = ()


@dataclass(frozen=True)
class RefusedCase:
    """A case that could not be prepared: the error's stable code, its text, and the gates."""

    case_id: str
    code: str
    reason: str
    gates: tuple[GateResult, ...] = ()


def case_columns(case: CaseRecord) -> Row:
    """Return what tells whose row it is."""
    return {
        name: getattr(case, name) for name in ("case_id", "patient_id", "site", "scanner", "split")
    }


def to_row(prepared: PreparedCase) -> Row:
    """Return a prepared case as a row of the studies' table."""
    common = {name: _fitting(prepared.facts.get(name), kind) for name, kind in _FACTS.items()}
    warned = [one.gate for one in prepared.gates if one.verdict == "warn"]
    return {
        **case_columns(prepared.case),
        "array_uri": prepared.array_uri,
        "mask_uri": prepared.mask_uri,
        "territory_uri": prepared.territory_uri,
        "fingerprint": prepared.fingerprint,
        **common,
        "gates_warned": ",".join(warned),
        "gates_json": gates_json(prepared.gates),
        "facts_json": json.dumps(prepared.facts),
        "case_json": prepared.case.model_dump_json(),
    }


def from_row(row: Row) -> PreparedCase:
    """Return the case of a row that `to_row` made.

    Raises:
        ValueError: the row's JSON cannot be read.
    """
    return PreparedCase(
        case=CaseRecord.model_validate_json(str(row["case_json"] or "")),
        array_uri=str(row["array_uri"] or ""),
        mask_uri=_text(row["mask_uri"]),
        territory_uri=_text(row["territory_uri"]),
        fingerprint=str(row["fingerprint"] or ""),
        facts=json.loads(str(row["facts_json"] or "{}")),
        gates=parse_gates(row.get("gates_json")),
    )


def refused_to_row(refused: RefusedCase) -> Row:
    """Return a refused case as a row of the dead letters' table."""
    return {
        "case_id": refused.case_id,
        "code": refused.code,
        "reason": refused.reason,
        "gates_json": gates_json(refused.gates),
    }


def refused_from_row(row: Row) -> RefusedCase:
    """Return the refused case of a row that `refused_to_row` made.

    Raises:
        ValueError: the row's JSON cannot be read.
    """
    return RefusedCase(
        case_id=str(row["case_id"] or ""),
        code=str(row["code"] or ""),
        reason=str(row["reason"] or ""),
        gates=parse_gates(row.get("gates_json")),
    )


def gates_json(gates: Iterable[GateResult]) -> str:
    """Return gate results as a JSON list."""
    return json.dumps([one.model_dump(mode="json") for one in gates], ensure_ascii=False)


def parse_gates(text: Scalar) -> tuple[GateResult, ...]:
    """Return the gate results of a JSON list.

    Raises:
        ValueError: it is none.
    """
    return tuple(GateResult.model_validate(one) for one in json.loads(str(text or "[]")))


def _fitting(value: Scalar, kind: pa.DataType) -> Scalar:
    """Return a fact for a column of its kind; one of another kind stands in the JSON only."""
    if isinstance(value, str) != pa.types.is_string(kind) or isinstance(value, bool):
        return None
    return value


def _text(value: Scalar) -> str | None:
    return None if value is None else str(value)
