"""Manifests as hospitals export them: every way in, every way to be wrong, by row and column."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pirta.cohort.manifest import case_of, read_manifest
from pirta.contracts.case import CaseRecord
from pirta.contracts.study import Registry
from pirta.errors import ManifestError


def _csv(tmp_path: Path, text: str, encoding: str = "utf-8") -> str:
    path = tmp_path / "studies.csv"
    path.write_bytes(text.encode(encoding))
    return str(path)


def test_the_three_ways_in_are_read_from_one_csv(tmp_path: Path) -> None:
    path = _csv(
        tmp_path,
        "case_id,study_uri,dwi_uri,adc_uri,b0_uri,b_value_s_mm2,patient_id,split\n"
        "a,folder/a,,,,,p1,train\n"
        "b,,b/dwi.nii,b/adc.nii,,,,\n"
        "c,,c/dwi.nii,,c/b0.nii,1000,,\n",
    )
    a, b, c = read_manifest(path)
    assert (a.study_uri, a.patient_id, a.split) == ("folder/a", "p1", "train")
    assert (b.dwi_uri, b.adc_uri, b.patient_id, b.split) == ("b/dwi.nii", "b/adc.nii", "b", "index")
    assert (c.b0_uri, c.b_value_s_mm2, c.site) == ("c/b0.nii", 1000.0, "unknown")


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_delimiters_and_byte_order_marks_make_no_difference(
    tmp_path: Path, delimiter: str, encoding: str
) -> None:
    text = 'case_id,study_uri,report_text\r\na,one,"two lines,\nand a comma"\r\n\r\nb,two,\r\n'
    if delimiter != ",":
        text = text.replace("lines,\nand", "lines\nand").replace(",", delimiter)
    a, b = read_manifest(_csv(tmp_path, text, encoding))
    assert (a.case_id, b.study_uri) == ("a", "two")
    assert a.report_text.startswith("two lines")
    assert a.report_text.endswith("\nand a comma")


def test_a_parquet_with_few_columns_and_numbers_as_ids_is_read(tmp_path: Path) -> None:
    path = str(tmp_path / "studies.parquet")
    table = {"case_id": [7, 8], "study_uri": ["a", "b"], "b_value_s_mm2": [None, float("nan")]}
    pq.write_table(pa.table(table), path)
    assert [case.case_id for case in read_manifest(path)] == ["7", "8"]


def test_whole_numbers_with_gaps_are_the_ids_that_they_are_without(tmp_path: Path) -> None:
    path = str(tmp_path / "studies.parquet")
    table = {"case_id": [7.0, 8.5], "patient_id": [1001.0, None], "study_uri": ["a", "b"]}
    pq.write_table(pa.table({**table, "b_value_s_mm2": [1000.0, None]}), path)
    first, second = read_manifest(path)
    assert (first.case_id, first.patient_id, first.b_value_s_mm2) == ("7", "1001", 1000.0)
    assert (second.case_id, second.patient_id) == ("8.5", "8.5")


def test_an_id_that_lost_digits_as_a_float_is_refused(tmp_path: Path) -> None:
    path = str(tmp_path / "studies.parquet")
    ids = pa.array([2.0**53, 1.0], pa.float64())
    pq.write_table(
        pa.table({"case_id": ["a", "b"], "patient_id": ids, "study_uri": ["x"] * 2}), path
    )
    with pytest.raises(ManifestError, match=r"Row 0 .*patient_id is a number of more digits"):
        list(read_manifest(path))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "lacks the column case_id"),
        ("name,study_uri\na,b\n", "lacks the column case_id"),
        ("case_id,dwi_uri\na,b\n", "lacks the column for a way in"),
        ("case_id,case_id,study_uri\na,b,c\n", "case_id more than once"),
        ("case_id,study_uri\n", "holds no cases"),
        ("case_id,study_uri\na,one\nb\n", "Line 3 .* has 1 cells, its header 2"),
        ("case_id,study_uri\na,one,x\n", "Line 2 .* has 3 cells, its header 2"),
        ('case_id,study_uri\na,"one\n', "is no CSV: a quote is not closed"),
        ("case_id,study_uri\na,one\na,two\n", "Line 3 .*in an earlier row already"),
        ("case_id,study_uri\n,one\n", "Line 2 .*case_id is empty"),
        ("case_id,study_uri\n../secret,one\n", "Line 2 .*cannot be a file name"),
        ("case_id,study_uri,dwi_uri\na,,two\n", "Line 2 .*no complete way in"),
        ("case_id,study_uri,dwi_uri\na,one,two\n", "Line 2 .*more than one way in"),
        ("case_id,dwi_uri,b0_uri,b_value_s_mm2\na,d,b,\n", "Line 2 .*no complete way in"),
        ("case_id,dwi_uri,b0_uri,b_value_s_mm2\na,d,b,-5\n", "Line 2 .*cannot use b_value_s_mm2"),
        ("case_id,dwi_uri,b0_uri,b_value_s_mm2\na,d,b,Doe\n", "Line 2 .*cannot use b_value_s_mm2"),
        ("case_id,study_uri,registry_json\na,one,Doe\n", "Line 2 .*registry_json is not JSON"),
        ("case_id,study_uri,finding_json\na,one,Doe\n", "Line 2 .*cannot use finding_json"),
    ],
)
def test_what_is_wrong_is_named_by_line_and_column_and_never_by_content(
    tmp_path: Path, text: str, problem: str
) -> None:
    with pytest.raises(ManifestError, match=problem) as caught:
        list(read_manifest(_csv(tmp_path, text)))
    for secret in ("Doe", "secret"):
        assert secret not in str(caught.value)


@pytest.mark.parametrize("encoding", ["utf-16", "latin-1"])
def test_another_encoding_is_named_by_its_line(tmp_path: Path, encoding: str) -> None:
    path = _csv(tmp_path, "case_id,study_uri\na,Universität\n", encoding)
    with pytest.raises(ManifestError, match=r"Line \d .* is neither UTF-8 text nor Parquet"):
        list(read_manifest(path))


def test_rows_are_read_as_they_are_asked_for(tmp_path: Path) -> None:
    rows = "".join(f"case-{number},one\n" for number in range(50_000))
    cases = read_manifest(_csv(tmp_path, f"case_id,study_uri\n{rows}broken\n"))
    assert isinstance(cases, Iterator)
    assert next(cases).case_id == "case-0"  # the broken last row has not been reached


@given(st.binary(max_size=200))
def test_any_bytes_are_a_manifest_or_an_error_for_people(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    path = tmp_path_factory.mktemp("manifest") / "studies.csv"
    path.write_bytes(data)
    with pytest.raises(ManifestError):
        list(read_manifest(str(path)))


def test_a_case_of_an_old_table_is_the_case_it_was() -> None:
    case = CaseRecord(
        case_id="a", patient_id="p", site="s", scanner="x", dwi_uri="d", adc_uri="a",
        registry=Registry(age_years=70),
    )  # fmt: skip
    cells = {**case.model_dump(), "registry_json": case.registry.model_dump_json()}
    assert case_of({key: value for key, value in cells.items() if key != "registry"}) == case
