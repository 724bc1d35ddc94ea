"""Folders to scan: what counts as one study, and that no name is left in what it is called."""

from __future__ import annotations

import os
from pathlib import Path

import fsspec
import pyarrow.parquet as pq
import pytest
from pydicom.uid import generate_uid

from pirta.cohort.manifest import read_manifest
from pirta.cohort.table import resolve_uri
from pirta.errors import ManifestError, SeriesError
from pirta.imaging.collect import collect_files
from pirta.pipelines.archive_scan import scan, scan_to_table
from pirta.pipelines.pseudonyms import patient_pseudonym
from pirta.pipelines.study_source import StudySource
from tests.unit.pipelines.headers import dicom_header


def _put(root: Path, path: str, data: bytes = b"x") -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_bytes(data)


def test_each_layout_gives_the_studies_that_a_person_would_name(tmp_path: Path) -> None:
    one, two, three = (generate_uid() for _ in range(3))
    for series in ("adc", "trace"):
        _put(tmp_path, f"pacs/anna/mr/{series}/IM0001", dicom_header(one))
    _put(tmp_path, "pacs/bert/monday/IM1", dicom_header(two))
    _put(tmp_path, "pacs/bert/tuesday/IM1", dicom_header(three))
    _put(tmp_path, "bids/sub-1/ses-1/dwi/sub-1_dwi.nii.gz")
    _put(tmp_path, "bids/derivatives/masks/sub-1_mask.nii.gz")
    _put(tmp_path, "bids/dataset_description.json", b"{}")
    _put(tmp_path, "packed/c.zip")
    _put(tmp_path, "packed/d.tar.gz")
    _put(tmp_path, ".trash/e/dwi.nii.gz")
    _put(tmp_path, "notes/letter.pdf")
    _put(tmp_path, "notes/unknown", b"no image")
    assert list(scan(str(tmp_path))) == [
        "bids/sub-1/ses-1/dwi",
        "packed/c.zip",
        "packed/d.tar.gz",
        "pacs/anna/mr",
        "pacs/bert/monday",
        "pacs/bert/tuesday",
    ]


def test_a_folder_that_is_a_study_itself_is_one(tmp_path: Path) -> None:
    _put(tmp_path, "study/dwi.nii.gz")
    table = str(tmp_path / "links.parquet")
    assert scan_to_table(str(tmp_path / "study"), table, key="") == 1
    (case,) = read_manifest(table)
    assert resolve_uri(f"{tmp_path}/study/", str(case.study_uri)) == f"{tmp_path}/study"


def test_an_empty_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="holds no study"):
        scan_to_table(str(tmp_path), str(tmp_path / "links.parquet"), key="")


def test_pseudonyms_stay_the_same_and_say_nothing(tmp_path: Path) -> None:
    for name in ("Doe^Jane/first", "Doe^Jane/second", "Roe^Rick/first"):
        _put(tmp_path / "archive", f"{name}/dwi.nii.gz")
    tables = [str(tmp_path / f"{number}.parquet") for number in range(3)]
    for table, key in zip(tables, ("", "", "secret"), strict=True):
        scan_to_table(str(tmp_path / "archive"), table, key=key)
    plain, again, keyed = (list(read_manifest(table)) for table in tables)
    assert plain == again
    assert {case.case_id for case in plain}.isdisjoint(case.case_id for case in keyed)
    assert [case.patient_id == plain[0].patient_id for case in plain] == [True, True, False]
    for case in (*plain, *keyed):
        assert not {"Doe", "Jane", "Roe", "Rick"} & set(case.case_id.replace("-", " ").split())


def _collected(root: Path) -> dict[str, set[str]]:
    """Each study that a scan finds, and the files that are read for it."""
    found = list(scan(str(root)))
    assert len(set(found)) == len(found)
    return {uri: set(collect_files(resolve_uri(f"{root}/", uri))) for uri in found}


def test_a_visit_below_another_is_a_study_of_its_own_and_neither_is_read_twice(
    tmp_path: Path,
) -> None:
    first, second = generate_uid(), generate_uid()
    for number in range(2):
        _put(tmp_path, f"P1/IM{number}", dicom_header(first))
        _put(tmp_path, f"P1/followup/IM{number}", dicom_header(second))
    _put(tmp_path, "P2/dwi.nii.gz")
    _put(tmp_path, "P2/later/dwi.nii.gz")
    assert _collected(tmp_path) == {
        "P1/*": {"IM0", "IM1"},
        "P1/followup": {"IM0", "IM1"},
        "P2/*": {"dwi.nii.gz"},
        "P2/later": {"dwi.nii.gz"},
    }


def test_a_top_folder_with_images_and_visits_below_is_read_alone(tmp_path: Path) -> None:
    _put(tmp_path, "dwi.nii.gz")
    _put(tmp_path, "later/dwi.nii.gz")
    assert _collected(tmp_path) == {"*": {"dwi.nii.gz"}, "later": {"dwi.nii.gz"}}


def test_a_media_directory_file_is_no_image_and_series_below_it_are_one_study(
    tmp_path: Path,
) -> None:
    study = generate_uid()
    for series in ("S1", "S2"):
        _put(tmp_path, f"PAT1/DICOM/{series}/IM1", dicom_header(study))
    _put(tmp_path, "PAT1/DICOMDIR", dicom_header(generate_uid()))
    _put(tmp_path, "PAT2/IMAGES/IM1", dicom_header(generate_uid()))
    assert _collected(tmp_path) == {"PAT1/DICOM": {"S1/IM1", "S2/IM1"}, "PAT2/IMAGES": {"IM1"}}


def test_series_beside_and_below_the_images_of_the_same_study_are_read_together(
    tmp_path: Path,
) -> None:
    study = generate_uid()
    for path in ("P1/IM1", "P1/adc/IM1", "P1/more/b0/IM1"):
        _put(tmp_path, path, dicom_header(study))
    _put(tmp_path, "P2/IM1", dicom_header(generate_uid()))
    assert _collected(tmp_path) == {"P1": {"IM1", "adc/IM1", "more/b0/IM1"}, "P2": {"IM1"}}


@pytest.mark.parametrize("stray", ["report/scan.pdf", "report/2020/scan.pdf", "notes/readme", None])
def test_a_folder_without_images_does_not_split_a_study(tmp_path: Path, stray: str | None) -> None:
    study = generate_uid()
    for series in ("adc", "trace"):
        _put(tmp_path, f"P1/{series}/IM1", dicom_header(study))
    if stray is None:
        (tmp_path / "P1" / "empty").mkdir()
    else:
        _put(tmp_path, f"P1/{stray}", b"no image")
    _put(tmp_path, "P2/IM1", dicom_header(generate_uid()))
    assert list(scan(str(tmp_path))) == ["P1", "P2"]


def test_folders_that_do_not_tell_their_study_are_never_put_together(tmp_path: Path) -> None:
    study = generate_uid()
    for series in ("adc", "trace"):
        _put(tmp_path, f"P1/{series}/IM1", dicom_header(study))
        _put(tmp_path, f"P2/{series}/IM1", dicom_header(""))
    _put(tmp_path, "P1/odd/IM1", dicom_header(""))
    assert list(scan(str(tmp_path))) == ["P1/adc", "P1/odd", "P1/trace", "P2/adc", "P2/trace"]


def test_images_are_found_behind_however_many_other_files(tmp_path: Path) -> None:
    for number in range(30):
        _put(tmp_path, f"P1/A{number:02d}.log", b"hello")
        _put(tmp_path, f"P2/{number:02d}.log", b"hello")
    _put(tmp_path, "P1/IM0001.dcm", dicom_header(generate_uid()))
    _put(tmp_path, "P2/zz.img", dicom_header(generate_uid()))
    assert list(scan(str(tmp_path))) == ["P1", "P2"]


def test_a_flat_folder_of_two_patients_ends_in_a_refusal_and_not_in_one_of_them(
    tmp_path: Path,
) -> None:
    for number in range(4):
        _put(tmp_path, f"dump/IM{number}", dicom_header(generate_uid(), f"471{number % 2}"))
    (files,) = (collect_files(f"{tmp_path}/{uri}") for uri in scan(str(tmp_path)))
    with pytest.raises(SeriesError, match="files of 2 patients") as caught:
        patient_pseudonym(files.values(), "key")
    assert "471" not in str(caught.value)


def test_a_scan_works_in_a_bucket_too_with_empty_objects_in_it() -> None:
    root = "memory://scan-bucket"
    system = fsspec.filesystem("memory")
    system.pipe(f"{root}/P1/IM1", dicom_header(generate_uid()))
    system.pipe(f"{root}/P1/empty", b"")
    system.pipe(f"{root}/P1/followup/IM1", dicom_header(generate_uid()))
    assert list(scan(root)) == ["P1/*", "P1/followup"]
    assert set(collect_files(f"{root}/P1/*")) == {"IM1", "empty"}


def test_a_link_that_leads_up_is_not_followed_and_another_is(tmp_path: Path) -> None:
    _put(tmp_path, "archive/P1/dwi.nii.gz")
    _put(tmp_path, "disk/P2/dwi.nii.gz")
    (tmp_path / "archive" / "P1" / "up").symlink_to(tmp_path / "archive")
    (tmp_path / "archive" / "P1" / "self").symlink_to(tmp_path / "archive" / "P1")
    (tmp_path / "archive" / "more").symlink_to(tmp_path / "disk")
    os.mkfifo(tmp_path / "archive" / "pipe")
    assert list(scan(str(tmp_path / "archive"))) == ["P1", "more/P2"]
    assert set(_collected(tmp_path / "archive")) == {"P1", "more/P2"}


def test_links_of_an_earlier_scan_stay_and_are_no_studies_of_this_one(tmp_path: Path) -> None:
    table = str(tmp_path / "links.parquet")
    for week in ("one", "two"):
        _put(tmp_path / week, f"{week}/dwi.nii.gz")
        for _ in range(2):
            assert scan_to_table(str(tmp_path / week), table, key="k") == 1
    assert [case.study_uri for case in read_manifest(table)] == ["two", "one"]
    roots = [row["root"] for row in pq.read_table(table).to_pylist()]
    assert [root.removeprefix("file://") for root in roots] == [
        f"{tmp_path}/two",
        f"{tmp_path}/one",
    ]
    source = StudySource(table, f"{tmp_path}/two/", key="k").scan()
    assert [case.study_uri for case, _ in source] == ["two"]
    assert not any(shown.label_known for _, shown in source)  # a scan tells of no study's label
    (tmp_path / "links.parquet").write_bytes(b"damaged")
    with pytest.raises(ManifestError, match="links table of an earlier scan is damaged"):
        scan_to_table(str(tmp_path / "two"), table, key="k")


def test_the_same_path_below_another_folder_is_not_taken_for_the_same_study(
    tmp_path: Path,
) -> None:
    table = tmp_path / "links.parquet"
    for week in ("one", "two"):
        _put(tmp_path / week, "P1/dwi.nii.gz")
    scan_to_table(f"{tmp_path}/one/", str(table), key="k")
    scan_to_table(str(tmp_path / "one"), str(table), key="k")
    before = table.read_bytes()
    with pytest.raises(ManifestError, match="1 studies of the folder lie where") as caught:
        scan_to_table(str(tmp_path / "two"), str(table), key="k")
    assert "P1" not in str(caught.value)
    assert table.read_bytes() == before
    table.unlink()
    assert scan_to_table(str(tmp_path / "two"), str(table), key="k") == 1


@pytest.mark.parametrize("size", [0, 100, 131, 132, 140, 200, 300])
def test_a_header_that_is_cut_short_makes_no_trouble(tmp_path: Path, size: int) -> None:
    _put(tmp_path, "a/one/IM1", dicom_header(generate_uid())[:size])
    _put(tmp_path, "a/two/IM1", dicom_header(generate_uid()))
    assert "a/two" in list(scan(str(tmp_path)))
