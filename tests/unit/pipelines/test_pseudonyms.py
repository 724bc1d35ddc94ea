"""Pseudonyms: the same for the same patient and key, saying nothing, and never without a key."""

from __future__ import annotations

import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.uid import generate_uid
from typer.testing import CliRunner

from pirta.errors import InputError, SeriesError, SettingsError
from pirta.pipelines.pseudonyms import (
    make_key,
    name_patient,
    patient_pseudonym,
    pseudonym,
    pseudonym_key,
    read_ids,
)
from pirta.pipelines.study_source import open_source
from pirta.settings import ArchiveSettings
from pirta_cli.main import app
from tests.unit.pipelines.headers import dicom_header

KEY_VARIABLE = "PIRTA_ARCHIVE__PSEUDONYM_KEY"


def test_a_patient_is_known_by_the_patient_id_of_the_images() -> None:
    first, second = (dicom_header(generate_uid(), "4711") for _ in range(2))
    other, nameless = dicom_header(generate_uid(), "4712"), dicom_header(generate_uid())
    named = patient_pseudonym([b"a sidecar", nameless, first], "key")
    assert named == patient_pseudonym([second], "key") == pseudonym("patient", "4711", "key")
    assert named != patient_pseudonym([other], "key")
    assert named != patient_pseudonym([first], "another key")
    assert "4711" not in str(named)
    assert patient_pseudonym([nameless, b"", b"DICM"], "key") is None


def test_files_of_two_patients_are_refused_whichever_comes_first() -> None:
    one, two = (dicom_header(generate_uid(), name) for name in ("4711", "4712"))
    for files in ([one, two], [two, one], [one, one, two]):
        with pytest.raises(SeriesError, match="2 patients"):
            patient_pseudonym(files, "key")


def test_ids_are_read_from_a_header_and_nothing_behind_them_is_looked_at() -> None:
    whole = dicom_header("1.2.3", "4711 ")
    assert read_ids(whole) == {"PatientID": "4711", "StudyInstanceUID": "1.2.3"}
    assert read_ids(whole + b"\x28\x00\x10\x00US\x02") == read_ids(whole)
    without_preamble = whole[whole.index(b"\x08\x00\x16\x00") :]
    assert read_ids(without_preamble) == read_ids(whole)


@given(st.integers(0, 400), st.integers(0, 399), st.integers(0, 255))
def test_a_damaged_header_tells_what_it_can_and_raises_nothing(
    size: int, place: int, value: int
) -> None:
    data = bytearray(dicom_header("1.2.3", "4711"))
    data[min(place, len(data) - 1)] = value
    assert set(read_ids(bytes(data[:size]))) == {"PatientID", "StudyInstanceUID"}


def test_a_deflated_file_that_is_cut_off_tells_nothing() -> None:
    header = b"\0" * 128 + b"DICM\x02\x00\x10\x00UI\x16\x001.2.840.10008.1.2.1.99"
    packed = zlib.compress(b"x" * 1000, wbits=-15)
    assert read_ids(header + packed[:5])["PatientID"] is None


def test_a_folder_is_scanned_with_a_key_or_as_a_demo_and_a_table_needs_none(
    tmp_path: Path,
) -> None:
    with pytest.raises(SettingsError, match="pseudonym_key is not set") as caught:
        open_source(str(tmp_path), "out", ArchiveSettings(), site="unknown")
    assert "pirta pseudonym --make-key" in caught.value.remedy
    for settings in (ArchiveSettings(pseudonym_key="secret"), ArchiveSettings(demo=True)):
        source = open_source(str(tmp_path), "out", settings, site="unknown")
        assert source.is_folder
        assert source.key == settings.pseudonym_key.get_secret_value()
    assert not open_source("t.csv", "out", ArchiveSettings(), site="unknown").is_folder


def test_the_links_table_lies_in_the_store_or_where_it_is_wanted(tmp_path: Path) -> None:
    for links, table in ((None, "out/links.parquet"), ("kept/links.parquet",) * 2):
        source = open_source(
            str(tmp_path), "out", ArchiveSettings(demo=True), site="unknown", links=links
        )
        assert source.table == table


def test_keys_are_long_and_never_the_same() -> None:
    keys = {make_key() for _ in range(8)}
    assert len(keys) == 8
    assert {len(key) for key in keys} == {64}
    assert pseudonym_key(ArchiveSettings(pseudonym_key=make_key())) not in keys


def test_the_command_gives_the_name_that_a_scan_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_VARIABLE, "secret")
    scanned = patient_pseudonym([dicom_header(generate_uid(), "4711")], "secret")
    assert CliRunner().invoke(app, ["pseudonym", "4711"]).output.strip() == scanned
    piped = CliRunner().invoke(app, ["pseudonym"], input="4711 \n\n4712\r\n")
    assert piped.output.splitlines() == [scanned, name_patient("4712", "secret")]
    assert isinstance(CliRunner().invoke(app, ["pseudonym"], input="\n").exception, InputError)


def test_the_command_refuses_to_work_without_a_key_and_makes_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv(KEY_VARIABLE, raising=False)
    refused = CliRunner().invoke(app, ["pseudonym", "4711"])
    assert isinstance(refused.exception, SettingsError)
    assert "4711" not in str(refused.exception)
    made = CliRunner().invoke(app, ["pseudonym", "--make-key"])
    assert made.exit_code == 0
    assert len(made.output.strip()) == 64
