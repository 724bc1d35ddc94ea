"""A file of raw reports to the tables of proposals: one pass, each row on its own, counted.

Texts are de-identified before anyone reads them, unless the caller keeps them as they are; ids are
the file's own. Nothing of a text is logged or put into the summary.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from pirta.errors import PirtaError
from pirta.reporting.deidentify import deidentify
from pirta.reporting.structuring.agreement import disagreements, with_doubt
from pirta.reporting.structuring.findings_table import (
    FINDING_COLUMNS,
    REFUSED_COLUMNS,
    REVIEW_COLUMNS,
    check_absent,
    finding_row,
    refused_row,
    write_table,
)
from pirta.reporting.structuring.report_files import BadRow, RawReport
from pirta.reporting.structuring.result import Doubt, ReportReader, StructuredReport

FINDINGS: Final = "findings.csv"
REVIEW: Final = "review.csv"
REFUSED: Final = "refused.csv"
SUMMARY: Final = "summary.json"


@dataclass(frozen=True)
class Readers:
    """Who reads: the first reader's proposal stands, the second one's may send it to review."""

    first: ReportReader
    second: ReportReader | None = None


@dataclass
class Summary:
    """What a run did, in counts only."""

    num_rows: int = 0
    num_review: int = 0
    num_refused: int = 0
    states: Counter[str] = field(default_factory=Counter)
    territories: Counter[str] = field(default_factory=Counter)
    confidences: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    identifiers_removed: Counter[str] = field(default_factory=Counter)
    refusals: Counter[str] = field(default_factory=Counter)

    def count(self, row: dict[str, str]) -> None:
        """Count one proposal."""
        self.states[row["state"]] += 1
        self.confidences[row["confidence"]] += 1
        self.reasons.update(row["reasons"].split())
        if row["territory"]:
            self.territories[row["territory"]] += 1


def structure_reports(
    reports: Iterable[RawReport | BadRow],
    out: Path,
    readers: Readers,
    *,
    keep_identifiers: bool = False,
    overwrite: bool = False,
    on_row: Callable[[int], None] = lambda _: None,
) -> Summary:
    """Read every report and write the tables and the summary below `out`.

    Raises:
        InputError: a table is there already and `overwrite` is False.
        PirtaError: the file of the reports cannot be read on (from `reports`).
    """
    check_absent([out / name for name in (FINDINGS, REVIEW, REFUSED)], overwrite=overwrite)
    summary = Summary()
    findings: list[dict[str, str]] = []
    review: list[dict[str, str]] = []
    refused: list[dict[str, str]] = []
    for entry in reports:
        summary.num_rows += 1
        outcome = _read(entry, readers, summary, keep_identifiers)
        if isinstance(outcome, BadRow):
            refused.append(refused_row(outcome))
            summary.refusals[outcome.code] += 1
        else:
            findings.append(outcome)
            if outcome["needs_review"] == "yes":
                review.append(outcome)
            summary.count(outcome)
        on_row(summary.num_rows)
    for name, columns, rows in (
        (FINDINGS, FINDING_COLUMNS, findings),
        (REVIEW, REVIEW_COLUMNS, review),
        (REFUSED, REFUSED_COLUMNS, refused),
    ):
        write_table(out / name, columns, rows)
    summary.num_review, summary.num_refused = len(review), len(refused)
    (out / SUMMARY).write_text(json.dumps(vars(summary), indent=2) + "\n", encoding="utf-8")
    return summary


def _read(
    entry: RawReport | BadRow, readers: Readers, summary: Summary, keep_identifiers: bool
) -> dict[str, str] | BadRow:
    if isinstance(entry, BadRow):
        return entry
    text = entry.text
    if not keep_identifiers:
        cleaned = deidentify(text)
        text = cleaned.text
        summary.identifiers_removed.update(cleaned.counts)
    try:
        report = readers.first.read(text)
    except PirtaError as error:
        return BadRow(entry.row, entry.case_id, error.code, error.message)
    report, differing = _second_opinion(text, report, readers.second)
    row = finding_row(entry.row, entry.case_id, report, disagreement=differing)
    return row | {"text": text}


def _second_opinion(
    text: str, report: StructuredReport, reader: ReportReader | None
) -> tuple[StructuredReport, tuple[str, ...]]:
    if reader is None:
        return report, ()
    try:
        other = reader.read(text)
    except PirtaError:
        return with_doubt(report, Doubt.SECOND_READER_FAILED), ()
    differing = disagreements(report, other)
    return (with_doubt(report, Doubt.READERS_DISAGREE) if differing else report), differing
