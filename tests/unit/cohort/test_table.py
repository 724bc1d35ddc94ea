"""The cohort table: round trips, and one clear error for each way it can be wrong."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pirta.cohort.table import COLUMNS, read_cohort, resolve_uri, write_cohort
from pirta.contracts.case import CaseRecord
from pirta.contracts.finding import Finding, InfarctType, Laterality, LesionClass, Territory
from pirta.contracts.study import Registry
from pirta.errors import ManifestError

FINDING = Finding(
    lesion_class=LesionClass.STRONG,
    infarct_type=InfarctType.WEDGE_VASCULAR,
    territory=Territory.POSTERIOR,
    laterality=Laterality.LEFT,
)


def case(case_id: str, finding: Finding | None = FINDING) -> CaseRecord:
    return CaseRecord(
        case_id=case_id,
        patient_id=f"patient-{case_id}",
        site="site-a",
        scanner="a1",
        dwi_uri="sub-1/dwi.nii.gz",
        adc_uri="sub-1/adc.nii.gz",
        mask_uri=None if finding is None else "sub-1/msk.nii.gz",
        registry=Registry(age_years=71, sex="Female", presentation="Dizziness", history=("HTN",)),
        finding=finding,
        report_text="one line\nanother → line",
    )


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    cases = [case("one"), case("two", finding=None)]
    path = str(tmp_path / "deeper" / "cohort.parquet")
    write_cohort(path, cases)
    assert read_cohort(path) == cases
    assert [item.name for item in (tmp_path / "deeper").iterdir()] == ["cohort.parquet"]


def test_a_table_behind_another_filesystem_is_read_back() -> None:
    write_cohort("memory://cohorts/one/cohort.parquet", [case("one")])
    assert read_cohort("memory://cohorts/one/cohort.parquet") == [case("one")]


def test_writing_again_replaces_the_table(tmp_path: Path) -> None:
    path = str(tmp_path / "cohort.parquet")
    write_cohort(path, [case("one"), case("two")])
    write_cohort(path, [case("three")])
    assert [item.case_id for item in read_cohort(path)] == ["three"]


def test_relative_uris_start_at_the_tables_folder() -> None:
    assert resolve_uri("/data/c/cohort.parquet", "a/b.nii.gz") == "/data/c/a/b.nii.gz"
    assert resolve_uri("s3://bucket/c/cohort.parquet", "b.nii.gz") == "s3://bucket/c/b.nii.gz"
    assert resolve_uri("/data/c/cohort.parquet", "/else/b.nii.gz") == "/else/b.nii.gz"
    assert resolve_uri("/data/c/cohort.parquet", "s3://x/b.nii.gz") == "s3://x/b.nii.gz"
    assert resolve_uri("cohort.parquet", "b.nii.gz") == "b.nii.gz"


def test_a_missing_table_is_named(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"absent\.parquet does not exist"):
        read_cohort(str(tmp_path / "absent.parquet"))


def test_a_table_that_is_cut_short_is_told(tmp_path: Path) -> None:
    path = tmp_path / "cohort.parquet"
    write_cohort(str(path), [case("one")])
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(ManifestError, match="not a Parquet file, or is cut short"):
        read_cohort(str(path))


def test_missing_columns_are_named(tmp_path: Path) -> None:
    path = str(tmp_path / "cohort.parquet")
    pq.write_table(pa.table({name: ["x"] for name in COLUMNS if name != "case_id"}), path)
    with pytest.raises(ManifestError, match="lacks the column case_id"):
        read_cohort(path)


def test_no_cases_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="holds no cases"):
        write_cohort(str(tmp_path / "cohort.parquet"), [])
    assert not (tmp_path / "cohort.parquet").exists()


def test_a_repeated_case_is_named(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="case_id one more than once"):
        write_cohort(str(tmp_path / "cohort.parquet"), [case("one"), case("one")])


@pytest.mark.parametrize(
    ("column", "value", "problem"),
    [
        ("registry_json", '{"age_years": -3}', r"age_years.*-3"),
        ("registry_json", "{", "registry_json is not JSON"),
        ("finding_json", '{"territory": "elsewhere"}', "territory"),
        ("dwi_uri", None, "no complete way in: study_uri, or dwi_uri with adc_uri"),
    ],
)
def test_a_bad_cell_is_named_with_its_row(
    tmp_path: Path, column: str, value: str | None, problem: str
) -> None:
    path = str(tmp_path / "cohort.parquet")
    write_cohort(path, [case("one"), case("two")])
    table = pq.read_table(path)
    cells = [table.column(column)[0].as_py(), value]
    index = table.column_names.index(column)
    pq.write_table(table.set_column(index, column, pa.array(cells, pa.string())), path)
    with pytest.raises(ManifestError, match=rf"Row 1 of .*{problem}"):
        read_cohort(path)
