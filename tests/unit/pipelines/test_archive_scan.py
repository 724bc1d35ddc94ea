"""Folders to scan: what counts as one study, and that no name is left in what it is called."""

from __future__ import annotations

import io
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from pirta.cohort.manifest import read_manifest
from pirta.cohort.table import resolve_uri
from pirta.errors import ManifestError
from pirta.pipelines.archive_scan import patient_pseudonym, pseudonym, scan, scan_to_table


def _dicom(study_uid: str, patient_id: str = "") -> bytes:
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = pydicom.uid.MRImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    header = Dataset()
    header.file_meta = meta
    header.SOPClassUID = meta.MediaStorageSOPClassUID
    header.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
    header.PatientID = patient_id
    header.StudyInstanceUID = study_uid
    buffer = io.BytesIO()
    pydicom.dcmwrite(buffer, header, enforce_file_format=True)
    return buffer.getvalue()


def _put(root: Path, path: str, data: bytes = b"x") -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_bytes(data)


def test_each_layout_gives_the_studies_that_a_person_would_name(tmp_path: Path) -> None:
    one, two, three = (generate_uid() for _ in range(3))
    for series in ("adc", "trace"):
        _put(tmp_path, f"pacs/anna/mr/{series}/IM0001", _dicom(one))
    _put(tmp_path, "pacs/bert/monday/IM1", _dicom(two))
    _put(tmp_path, "pacs/bert/tuesday/IM1", _dicom(three))
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


def test_a_patient_is_known_by_the_patient_id_of_the_images() -> None:
    first, second = (_dicom(generate_uid(), "4711") for _ in range(2))
    other, nameless = _dicom(generate_uid(), "4712"), _dicom(generate_uid())
    named = patient_pseudonym([b"a sidecar", nameless, first], "key")
    assert named == patient_pseudonym([second], "key") == pseudonym("patient", "4711", "key")
    assert named != patient_pseudonym([other], "key")
    assert named != patient_pseudonym([first], "another key")
    assert "4711" not in str(named)
    assert patient_pseudonym([nameless, b"", b"DICM"], "key") is None


@pytest.mark.parametrize("size", [0, 100, 131, 132, 140, 200, 300])
def test_a_header_that_is_cut_short_makes_no_trouble(tmp_path: Path, size: int) -> None:
    _put(tmp_path, "a/one/IM1", _dicom(generate_uid())[:size])
    _put(tmp_path, "a/two/IM1", _dicom(generate_uid()))
    assert "a/two" in list(scan(str(tmp_path)))
