"""From a file of raw reports to the tables: every format, bad rows apart, nothing final."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from pirta.contracts.finding import Finding, InfarctType, Laterality, LesionClass, Territory
from pirta.errors import (
    FileMissingError,
    FileUnreadableError,
    InputError,
    ManifestError,
    UnavailableError,
)
from pirta.reporting.structuring.findings_table import FINDING_COLUMNS, verified_finding
from pirta.reporting.structuring.report_files import BadRow, RawReport, read_reports
from pirta.reporting.structuring.result import StructuredReport
from pirta.reporting.structuring.rules import RuleReader
from pirta.reporting.structuring.run import Readers, structure_reports
from pirta_cli.main import app

ROWS = [
    {"case_id": "a", "text": "Diffusion restriction in left basal ganglia.\n→ Acute infarction"},
    {"case_id": "b", "text": "No diffusion restriction. Reported by Dr. Helen Marsh."},
    {"case_id": "c", "text": "Acute infarct in right pons cannot be excluded."},
]


def _write(path: Path, rows: list[dict[str, str]]) -> Path:
    if path.suffix == ".csv":
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    elif path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    else:
        lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        path.write_text(lines, encoding="utf-8")
    return path


def _read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        return list(csv.DictReader(file))


def _reports(path: Path) -> list[RawReport | BadRow]:
    return list(read_reports(path, text_column="text", id_column="case_id"))


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".jsonl"])
def test_every_format_gives_the_same_reports(tmp_path: Path, suffix: str) -> None:
    found = _reports(_write(tmp_path / f"in{suffix}", ROWS))
    assert found == [RawReport(i, r["case_id"], r["text"]) for i, r in enumerate(ROWS, 1)]


def test_the_tables_hold_proposals_and_the_unsure_ones_apart(tmp_path: Path) -> None:
    reports = [RawReport(i, row["case_id"], row["text"]) for i, row in enumerate(ROWS, 1)]
    summary = structure_reports(reports, tmp_path / "out", Readers(RuleReader()))
    findings = _read(tmp_path / "out" / "findings.csv")
    assert [row["case_id"] for row in findings] == ["a", "b", "c"]
    assert [row["state"] for row in findings] == [
        "acute infarct", "no acute infarct", "acute infarct",
    ]  # fmt: skip
    assert findings[0]["finding_sentence"].endswith("in the deep gray matter territory.")
    assert findings[0]["evidence"].startswith("Diffusion restriction in left basal ganglia.")
    assert {row["verified"] for row in findings} == {""}
    review = _read(tmp_path / "out" / "review.csv")
    assert [(row["case_id"], row["reasons"].split()[0]) for row in review] == [
        ("c", "only_possible")
    ]
    assert (summary.num_rows, summary.num_review, summary.num_refused) == (3, 1, 0)


def test_names_do_not_reach_a_table_unless_they_are_kept(tmp_path: Path) -> None:
    reports = [RawReport(1, "b", ROWS[1]["text"] + " Acute infarct?")]
    structure_reports(reports, tmp_path / "out", Readers(RuleReader()))
    kept = structure_reports(
        reports, tmp_path / "kept", Readers(RuleReader()), keep_identifiers=True
    )
    for name in ("findings.csv", "review.csv", "summary.json"):
        assert "Marsh" not in (tmp_path / "out" / name).read_text(encoding="utf-8")
    assert "Marsh" in (tmp_path / "kept" / "review.csv").read_text(encoding="utf-8")
    assert not kept.identifiers_removed


def test_bad_rows_get_a_code_and_the_others_are_read(tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    lines = [
        '{"case_id": "a", "text": ""}', "{broken", '{"case_id": "c"}', '{"text": 5}',
        json.dumps({"case_id": "e", "text": "x" * 30_000}), '["list"]',
        '{"case_id": "g", "text": "No diffusion restriction."}',
    ]  # fmt: skip
    path.write_text("\n".join(lines), encoding="utf-8")
    summary = structure_reports(_reports(path), tmp_path / "out", Readers(RuleReader()))
    refused = _read(tmp_path / "out" / "refused.csv")
    assert [(row["row"], row["code"]) for row in refused] == [
        ("1", "input_invalid"), ("2", "file_unreadable"), ("3", "input_invalid"),
        ("4", "input_invalid"), ("5", "input_invalid"), ("6", "file_unreadable"),
    ]  # fmt: skip
    assert summary.states == {"no acute infarct": 1}


@pytest.mark.parametrize(
    ("name", "content", "error"),
    [
        ("in.csv", b"case_id,words\n1,x\n", ManifestError),
        ("in.csv", "text\n급성\n".encode("cp949"), FileUnreadableError),
        ("in.csv", b'text\n"' + b"x" * 200_000 + b'"\n', FileUnreadableError),
        ("in.csv", b"", ManifestError),
        ("in.parquet", b"PAR1 no", FileUnreadableError),
        ("in.jsonl", b'{"words": 1}\n', ManifestError),
        ("in.jsonl", b"\xff\xfe\x00", FileUnreadableError),
        ("in.xlsx", b"x", ManifestError),
    ],
)
def test_a_file_that_cannot_be_used_ends_in_a_typed_error(
    tmp_path: Path, name: str, content: bytes, error: type[Exception]
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(error):
        _reports(tmp_path / name)


def test_a_missing_file_is_named_without_its_folder(tmp_path: Path) -> None:
    with pytest.raises(FileMissingError, match=r"no file in\.csv"):
        _reports(tmp_path / "in.csv")


def test_korean_windows_csv_is_read_with_its_encoding_named(tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_bytes("case_id,text\n가,급성 뇌경색 없음\n".encode("cp949"))
    (report,) = read_reports(path, text_column="text", id_column="case_id", encoding="cp949")
    assert report == RawReport(1, "가", "급성 뇌경색 없음")


def test_tables_with_corrections_are_not_overwritten(tmp_path: Path) -> None:
    reports = [RawReport(1, "a", ROWS[0]["text"])]
    structure_reports(reports, tmp_path, Readers(RuleReader()))
    with pytest.raises(InputError, match=r"findings\.csv.*may hold corrections"):
        structure_reports(reports, tmp_path, Readers(RuleReader()))
    structure_reports(reports, tmp_path, Readers(RuleReader()), overwrite=True)


def test_a_text_that_a_spreadsheet_would_run_is_quoted(tmp_path: Path) -> None:
    report = RawReport(1, "=1+1", "=cmd acute infarct in left frontal lobe?")
    structure_reports([report], tmp_path, Readers(RuleReader()))
    for row in [*_read(tmp_path / "findings.csv"), *_read(tmp_path / "review.csv")]:
        assert not any(value.startswith(("=", "+", "-", "@")) for value in row.values())


def test_a_corrected_row_becomes_a_finding_only_when_verified(tmp_path: Path) -> None:
    structure_reports([RawReport(1, "a", ROWS[0]["text"])], tmp_path, Readers(RuleReader()))
    (row,) = _read(tmp_path / "findings.csv")
    with pytest.raises(ManifestError, match="Row 1 is not verified"):
        verified_finding(row)
    assert verified_finding(row | {"verified": "KS", "lesion_class": "mild"}) == Finding(
        lesion_class=LesionClass.MILD,
        infarct_type=InfarctType.SMALL_LACUNE,
        territory=Territory.DEEP_GRAY,
        laterality=Laterality.LEFT,
    )
    assert verified_finding(row | {"verified": "KS", "state": "no acute infarct"}) is None
    for wrong in ({"territory": "brain"}, {"state": "undecided"}):
        with pytest.raises(ManifestError, match="no legal word"):
            verified_finding(row | {"verified": "KS"} | wrong)


class _Contrary:
    """A second reader that calls everything normal, or fails."""

    def __init__(self, *, fails: bool = False) -> None:
        self._fails = fails

    def read(self, text: str) -> StructuredReport:
        """Return a normal reading, whatever the text."""
        assert text
        if self._fails:
            raise UnavailableError("No engine.", remedy="Start one.")
        return RuleReader().read("No diffusion restriction.")


def test_readers_that_disagree_send_the_report_to_review(tmp_path: Path) -> None:
    reports = [RawReport(i, row["case_id"], row["text"]) for i, row in enumerate(ROWS[:2], 1)]
    structure_reports(reports, tmp_path, Readers(RuleReader(), _Contrary()))
    (review,) = _read(tmp_path / "review.csv")
    assert review["case_id"] == "a"
    assert review["disagreement"] == "state"
    assert "readers_disagree" in review["reasons"]
    assert review["state"] == "acute infarct"  # the first reader's proposal stands


def test_a_second_reader_that_fails_costs_a_review_and_no_report(tmp_path: Path) -> None:
    reports = [RawReport(2, "b", ROWS[1]["text"])]
    structure_reports(reports, tmp_path, Readers(RuleReader(), _Contrary(fails=True)))
    (review,) = _read(tmp_path / "review.csv")
    assert review["reasons"] == "second_reader_failed"


def test_the_command_prints_counts_and_no_text(tmp_path: Path) -> None:
    source = _write(tmp_path / "in.csv", ROWS)
    done = CliRunner().invoke(app, ["structure", str(source), str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    assert "3 rows: 2 acute infarct, 1 no acute infarct; 1 for review, 0 refused" in done.output
    assert "ganglia" not in done.output
    assert tuple(_read(tmp_path / "out" / "findings.csv")[0]) == FINDING_COLUMNS
