"""A store of prepared studies: round trips, runs that are cut off, and damage."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from pirta.cohort.prepared_store import (
    CaseArrays,
    PreparedCase,
    RefusedCase,
    close_run,
    load_labels,
    load_volume,
    read_prepared,
    read_refused,
    write_case,
)
from pirta.contracts.case import CaseRecord
from pirta.contracts.quality import GateResult
from pirta.contracts.study import GRID_SHAPE, Registry
from pirta.errors import ManifestError


def _case(case_id: str) -> CaseRecord:
    return CaseRecord(
        case_id=case_id,
        patient_id=f"patient-{case_id}",
        site="north",
        scanner="a",
        dwi_uri="dwi.nii.gz",
        adc_uri="adc.nii.gz",
        registry=Registry(age_years=70, history=("HTN",)),
    )


def _written(root: Path, case_id: str, *, labels: bool = False) -> PreparedCase:
    rng = np.random.default_rng(0)
    labels_XYZ = rng.integers(0, 4, GRID_SHAPE).astype(np.uint8) if labels else None
    volume_CXYZ = rng.uniform(0, 4, (2, *GRID_SHAPE)).astype(np.float32)
    return write_case(
        str(root),
        _case(case_id),
        CaseArrays(volume_CXYZ, mask_XYZ=labels_XYZ, territory_XYZ=labels_XYZ),
        fingerprint="prep-1",
        facts={"brain_ml": 1200.5, "stripper": "deepbet", "partial": False},
    )


def test_a_finished_store_gives_back_what_was_put_in(tmp_path: Path) -> None:
    cases = [_written(tmp_path, "b", labels=True), _written(tmp_path, "a")]
    close_run(str(tmp_path), cases, [RefusedCase("c", "file_missing", "The DWI file ...")])
    first, second = read_prepared(str(tmp_path))
    assert (first.case, second.case) == (_case("b"), _case("a"))
    assert first.facts == {"brain_ml": 1200.5, "stripper": "deepbet", "partial": False}
    assert first.fingerprint == "prep-1"
    assert second.mask_uri is None
    assert second.territory_uri is None
    assert first.mask_uri is not None
    rng = np.random.default_rng(0)
    labels_XYZ = rng.integers(0, 4, GRID_SHAPE).astype(np.uint8)
    np.testing.assert_array_equal(load_labels(first.mask_uri), labels_XYZ)
    volume_CXYZ = load_volume(first.array_uri)
    assert volume_CXYZ.dtype == np.float32
    true_CXYZ = rng.uniform(0, 4, (2, *GRID_SHAPE))
    np.testing.assert_allclose(volume_CXYZ, true_CXYZ, atol=1e-3)  # float16 below 4: 2⁻¹⁰
    assert read_refused(str(tmp_path)) == [RefusedCase("c", "file_missing", "The DWI file ...")]


def test_a_store_can_be_moved(tmp_path: Path) -> None:
    close_run(str(tmp_path / "here"), [_written(tmp_path / "here", "a")], [])
    (tmp_path / "here").rename(tmp_path / "there")
    (case,) = read_prepared(str(tmp_path / "there"))
    assert load_volume(case.array_uri).shape == (2, *GRID_SHAPE)


def test_a_store_behind_an_fsspec_address_works_alike() -> None:
    root = "memory://prepared-store-test"
    case = write_case(
        root, _case("a"), CaseArrays(np.ones((2, *GRID_SHAPE), np.float32)),
        fingerprint="prep-1", facts={},
    )  # fmt: skip
    close_run(root, [case], [])
    (found,) = read_prepared(root)
    assert load_volume(found.array_uri).min() == 1


def test_a_run_that_was_cut_off_is_not_read_as_finished(tmp_path: Path) -> None:
    _written(tmp_path, "a")
    with pytest.raises(ManifestError, match=r"holds no finished studies\.parquet"):
        read_prepared(str(tmp_path))


def test_no_file_is_left_under_a_temporary_name(tmp_path: Path) -> None:
    close_run(str(tmp_path), [_written(tmp_path, "a", labels=True)], [])
    assert {path.suffix for path in tmp_path.rglob("*") if path.is_file()} == {".npy", ".parquet"}


def test_a_store_where_all_were_refused_says_where_to_look(tmp_path: Path) -> None:
    close_run(str(tmp_path), [], [RefusedCase("a", "file_missing", "x")])
    with pytest.raises(ManifestError, match="all were refused") as caught:
        read_prepared(str(tmp_path))
    assert "dead_letter.parquet" in caught.value.remedy


@pytest.mark.parametrize("case_id", ["../a", "a/b", "", ".hidden", "a b", "a" * 200])
def test_a_case_id_cannot_lead_out_of_the_store(tmp_path: Path, case_id: str) -> None:
    with pytest.raises(ManifestError, match="cannot be a file name"):
        _written(tmp_path, case_id)
    assert not list(tmp_path.iterdir())


def test_missing_damaged_and_foreign_arrays_are_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    with pytest.raises(ManifestError, match="is missing"):
        load_volume(str(path))
    path.write_bytes(b"no array")
    with pytest.raises(ManifestError, match="is damaged"):
        load_volume(str(path))
    path.write_bytes(b"")
    with pytest.raises(ManifestError, match="is damaged"):
        load_volume(str(path))
    np.save(path, np.zeros((2, 3, 4)))
    with pytest.raises(ManifestError, match=r"has shape \(2, 3, 4\)"):
        load_labels(str(path))
    np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(ManifestError, match="is damaged"):
        load_volume(str(path))


def test_a_damaged_table_is_an_error_for_people(tmp_path: Path) -> None:
    for name, read in (("studies", read_prepared), ("dead_letter", read_refused)):
        (tmp_path / f"{name}.parquet").write_bytes(b"no parquet")
        with pytest.raises(ManifestError, match=rf"{name}\.parquet is damaged"):
            read(str(tmp_path))


def test_the_tables_answer_sql_on_facts_and_gates(tmp_path: Path) -> None:
    gate = GateResult(gate="snr", value=7.5, limit="at least 10", verdict="warn", reason="Noisy.")
    prepared = replace(_written(tmp_path, "a"), gates=(gate,))
    refused = RefusedCase("b", "quality_refused", "too noisy", (gate,))
    close_run(str(tmp_path), [prepared], [refused])
    table = pq.read_table(tmp_path / "studies.parquet").to_pylist()
    assert (table[0]["brain_ml"], table[0]["stripper"]) == (1200.5, "deepbet")
    assert (table[0]["gates_warned"], table[0]["site"]) == ("snr", "north")
    assert json.loads(table[0]["gates_json"])[0]["value"] == 7.5
    assert read_prepared(str(tmp_path))[0].gates == (gate,)
    assert read_refused(str(tmp_path)) == [refused]
