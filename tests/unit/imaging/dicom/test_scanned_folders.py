"""From a scanned folder to its images: no visit is lost in silence, and none is read as another."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from pirta.cohort.table import resolve_uri
from pirta.contracts.study import StudyImages
from pirta.errors import SeriesError
from pirta.imaging.collect import collect_files
from pirta.imaging.diffusion_pair import DiffusionPair
from pirta.imaging.read_pair import read_pair
from pirta.pipelines.archive_scan import scan


def _put_visit(dicom: SimpleNamespace, folder: Path, number: int) -> None:
    """Write a trace and an ADC map, of a study of its own, beside what is there."""
    folder.mkdir(parents=True, exist_ok=True)
    series = (dicom.trace(number, uid=f"1.2.{number}.1"), dicom.adc_map(9, uid=f"1.2.{number}.2"))
    for kind, one in zip(("trace", "adc"), series, strict=True):
        for place, dataset in enumerate(dicom.classic_datasets(one)):
            dataset.StudyInstanceUID, dataset.PatientID = f"1.3.{number}", "4711"
            (folder / f"{number}-{kind}-{place}").write_bytes(dicom.to_bytes(dataset))


def _pairs(root: Path) -> list[DiffusionPair]:
    uris = [resolve_uri(f"{root}/", uri) for uri in scan(str(root))]
    return [read_pair(StudyImages(files=collect_files(uri))) for uri in uris]


def test_two_visits_of_one_folder_are_refused_together_and_told(
    dicom: SimpleNamespace, tmp_path: Path
) -> None:
    _put_visit(dicom, tmp_path / "dump", 1)
    assert len(_pairs(tmp_path)) == 1
    _put_visit(dicom, tmp_path / "dump", 2)
    with pytest.raises(SeriesError, match="2 studies"):
        _pairs(tmp_path)


def test_a_visit_and_the_one_in_the_folder_below_are_each_read_once(
    dicom: SimpleNamespace, tmp_path: Path
) -> None:
    _put_visit(dicom, tmp_path / "P1", 1)
    _put_visit(dicom, tmp_path / "P1" / "followup", 2)
    first, second = _pairs(tmp_path)
    assert not np.array_equal(first.dwi.data_XYZ, second.dwi.data_XYZ)
    np.testing.assert_array_equal(first.adc.data_XYZ, second.adc.data_XYZ)
