"""`pirta cohort hosts | insert | sizes | bids`: bad input is a typed error before any output."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pirta.cohort.prepared_store import close_run, read_prepared
from pirta.errors import InputError, ManifestError, PirtaError, SeriesError
from pirta_cli.main import app


def _refused(kind: type[PirtaError], *words: str) -> str:
    """Run `pirta cohort …`, and return the message of the error that it ends in."""
    result = CliRunner().invoke(app, ["cohort", *words])
    assert isinstance(result.exception, kind), result.exception
    return str(result.exception)


@pytest.mark.parametrize("largest", ["inf", "1000", "nan", "0.01"])
def test_sizes_out_of_range_are_refused_and_nothing_is_written(
    synthetic_store: str, tmp_path: Path, largest: str
) -> None:
    out = tmp_path / "out"
    words = ("sizes", synthetic_store, str(out), "--largest-ml", largest)
    assert f"to {float(largest):g} ml" in _refused(InputError, *words)
    assert not out.exists()


@pytest.mark.parametrize(
    ("option", "value"), [("--b-value", "1000"), ("--name", "x"), ("--adc", "adc.nii.gz")]
)
def test_insert_refuses_what_says_nothing_of_a_store(
    synthetic_store: str, tmp_path: Path, option: str, value: str
) -> None:
    words = ("insert", synthetic_store, str(tmp_path / "out"), option, value)
    assert f"{option} cannot be used: a prepared store was named" in _refused(InputError, *words)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("given", [("--from-split", "val"), ("--no-normals",)])
def test_insert_refuses_what_says_nothing_of_a_single_study(
    tmp_path: Path, given: tuple[str, ...]
) -> None:
    words = ("insert", str(tmp_path), str(tmp_path / "out"), *given)
    assert f"{given[0]} cannot be used: a single study was named" in _refused(InputError, *words)


@pytest.mark.parametrize("b_value", ["-1000", "0", "nan"])
def test_insert_refuses_a_b_value_that_is_none(tmp_path: Path, b_value: str) -> None:
    for name in ("dwi.nii", "adc.nii"):
        (tmp_path / name).write_bytes(b"not looked at")
    source, adc = str(tmp_path / "dwi.nii"), str(tmp_path / "adc.nii")
    words = ("insert", source, str(tmp_path / "out"), "--adc", adc, "--b-value", b_value)
    assert "A b value of" in _refused(SeriesError, *words)


@pytest.mark.parametrize(
    "given", [("--volume-ml", "0"), ("--volume-ml", "inf"), ("--label", "normal")]
)
def test_insert_refuses_a_lesion_that_cannot_be(tmp_path: Path, given: tuple[str, str]) -> None:
    assert "A lesion" in _refused(
        InputError, "insert", str(tmp_path), str(tmp_path / "out"), *given
    )


@pytest.mark.parametrize("command", ["hosts", "sizes"])
def test_a_folder_that_is_no_store_is_refused(tmp_path: Path, command: str) -> None:
    message = _refused(ManifestError, command, str(tmp_path), str(tmp_path / "out"))
    assert "holds no finished studies.parquet" in message


def test_a_folder_without_bids_studies_is_refused(tmp_path: Path) -> None:
    message = _refused(ManifestError, "bids", str(tmp_path), str(tmp_path / "out"))
    assert "holds no DWI of a BIDS study" in message


def test_an_output_that_holds_a_store_is_refused(synthetic_store: str) -> None:
    for command in ("hosts", "sizes", "insert"):
        message = _refused(ManifestError, command, synthetic_store, synthetic_store)
        assert "holds a finished store already" in message


@pytest.mark.parametrize("command", ["hosts", "insert", "sizes"])
def test_studies_that_nobody_called_normal_are_refused(
    synthetic_store: str, tmp_path: Path, command: str
) -> None:
    store = _silent(synthetic_store, tmp_path)
    message = _refused(ManifestError, command, store, str(tmp_path / "out"))
    assert "1 of 1 cases" in message
    assert "--all-normal" in message


def test_hosts_with_all_normal_tells_what_it_took_for_granted(
    synthetic_store: str, tmp_path: Path
) -> None:
    out = str(tmp_path / "out")
    words = ["cohort", "hosts", _silent(synthetic_store, tmp_path), out, "--all-normal"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.exception
    told = "1 hosts, 0 refused, 0 strokes passed over; 1 tell no b value: taken as b 1000"
    assert told in result.stderr
    (row,) = read_prepared(out)
    assert row.case.split == "train"
    assert row.case.label_known


def test_a_negative_seed_is_refused_by_name(tmp_path: Path) -> None:
    words = ["evaluate", "encoder", "--index", "x", "--data", "x", "--out", str(tmp_path)]
    result = CliRunner().invoke(app, [*words, "--seed", "-1"])
    assert result.exit_code == 2
    assert "seed" in result.output


def _silent(synthetic_store: str, tmp_path: Path) -> str:
    """A store of one normal host whose row says nothing of what it shows."""
    row = next(row for row in read_prepared(synthetic_store) if row.case.case_id == "val-normal")
    case = row.case.model_copy(update={"report_text": "", "split": "index"})
    store = str(tmp_path / "silent")
    close_run(store, [replace(row, case=case)], [])
    return store
