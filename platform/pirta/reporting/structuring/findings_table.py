"""The tables for the neuroradiologist: proposals to correct, unsure ones to begin with, and back.

`findings.csv` holds every report that could be read, `review.csv` the unsure ones with their
whole text, `refused.csv` the rows that hold no report. The column `verified` is empty: a proposal
is final when a person has written there, and `verified_finding` takes no row without it. Cells
that a spreadsheet would run as a formula are given an apostrophe.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from pirta.contracts.finding import Finding, finding_sentence
from pirta.errors import InputError, ManifestError
from pirta.reporting.structuring.report_files import BadRow
from pirta.reporting.structuring.result import Evidence, Lesion, StructuredReport

NO_INFARCT: Final = "no acute infarct"
INFARCT: Final = "acute infarct"
UNDECIDED: Final = "undecided"

FINDING_COLUMNS: Final = (
    "row", "case_id", "state", "lesion_class", "infarct_type", "territory", "laterality",
    "multifocal", "acuity", "certainty", "finding_sentence", "further_findings",
    "chronic_findings", "evidence", "rules", "inferred", "confidence", "needs_review", "reasons",
    "disagreement", "verified",
)  # fmt: skip
REVIEW_COLUMNS: Final = (*FINDING_COLUMNS, "text")
REFUSED_COLUMNS: Final = ("row", "case_id", "code", "reason")

_RUN_AS_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


def finding_row(
    row: int, case_id: str, report: StructuredReport, *, disagreement: Sequence[str] = ()
) -> dict[str, str]:
    """Return the table's row for one reading."""
    lesion = report.main_lesion or next(iter(report.lesions), None)
    evidence = report.normal_evidence if lesion is None else lesion.evidence
    further = [one for one in report.lesions if one is not lesion]
    return {
        "row": str(row),
        "case_id": case_id,
        "state": state_of(report),
        **_slots(lesion),
        "finding_sentence": "" if state_of(report) == UNDECIDED else _sentence(report),
        "further_findings": " | ".join(_described(one) for one in further),
        "chronic_findings": " | ".join(_described(one) for one in report.chronic),
        "evidence": " | ".join(dict.fromkeys(one.sentence for one in evidence)),
        "rules": " | ".join(_rule(one) for one in evidence),
        "inferred": " ".join(sorted(lesion.inferred)) if lesion else "",
        "confidence": str(report.confidence),
        "needs_review": "yes" if report.needs_review else "no",
        "reasons": " ".join(report.doubts),
        "disagreement": " ".join(disagreement),
        "verified": "",
    }


def refused_row(bad: BadRow) -> dict[str, str]:
    """Return the table's row for a row without a report."""
    return {"row": str(bad.row), "case_id": bad.case_id, "code": bad.code, "reason": bad.reason}


def state_of(report: StructuredReport) -> str:
    """Return one of `INFARCT`, `NO_INFARCT` and `UNDECIDED`."""
    if report.main_finding is not None:
        return INFARCT
    return NO_INFARCT if report.is_normal else UNDECIDED


def check_absent(paths: Sequence[Path], *, overwrite: bool) -> None:
    """Refuse to begin where a table is there already.

    Raises:
        InputError: one is, and `overwrite` is False; it may hold corrections.
    """
    there = [path.name for path in paths if path.exists()]
    if there and not overwrite:
        raise InputError(
            f"{', '.join(there)} may hold corrections already.",
            remedy="Name another folder, or say --overwrite.",
        )


def write_table(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, str]]) -> None:
    """Write a CSV that spreadsheets open as UTF-8, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(path.name + ".part")
    with unfinished.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        for row in rows:
            writer.writerow({name: _cell(row[name]) for name in columns})
    unfinished.replace(path)


def verified_finding(row: Mapping[str, str]) -> Finding | None:
    """Return the finding of a corrected row; None is a study without an acute infarct.

    Raises:
        ManifestError: nobody has verified the row, it is undecided, or a slot holds no legal word.
    """
    name = f"Row {row.get('row', '?')}"
    if not row.get("verified", "").strip():
        raise ManifestError(f"{name} is not verified.", remedy="Have it read by a person first.")
    if row["state"] == NO_INFARCT:
        return None
    try:
        if row["state"] != INFARCT:
            raise ValueError
        return Finding.model_validate(
            {
                "lesion_class": row["lesion_class"],
                "infarct_type": row["infarct_type"],
                "territory": row["territory"],
                "laterality": row["laterality"] or None,
                "multifocal": row["multifocal"] == "yes",
            }
        )
    except (ValidationError, ValueError):
        raise ManifestError(
            f"{name} is verified, but its state or a slot of its finding holds no legal word.",
            remedy="Write the words of pirta.contracts.finding, such as 'deep gray matter'.",
        ) from None


def _slots(lesion: Lesion | None) -> dict[str, str]:
    if lesion is None:
        return dict.fromkeys(FINDING_COLUMNS[3:10], "")
    return {
        "lesion_class": str(lesion.lesion_class),
        "infarct_type": str(lesion.infarct_type),
        "territory": str(lesion.territory or ""),
        "laterality": str(lesion.laterality or ""),
        "multifocal": "yes" if lesion.multifocal else "no",
        "acuity": str(lesion.acuity),
        "certainty": str(lesion.certainty),
    }


def _sentence(report: StructuredReport) -> str:
    return finding_sentence(report.main_finding)


def _described(lesion: Lesion) -> str:
    place = f"{lesion.laterality or ''} {lesion.territory or 'place unknown'}".strip()
    return f"{lesion.acuity} {lesion.infarct_type}, {place}"


def _rule(evidence: Evidence) -> str:
    return f"{evidence.sentence_index}: {evidence.rule}"


def _cell(value: str) -> str:
    return f"'{value}" if value.startswith(_RUN_AS_FORMULA) else value
