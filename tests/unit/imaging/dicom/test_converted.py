"""Enhanced objects that highdicom made from classic images: an independent writer's reading."""

from __future__ import annotations

import warnings
from types import SimpleNamespace

import numpy as np
from highdicom.legacy import LegacyConvertedEnhancedMRImage
from pydicom.dataset import FileDataset
from pydicom.uid import generate_uid

from pirta.imaging.dicom.read import read_dicom_pair

FOR_THE_CONVERTER = {
    "PatientName": "Doe^Jane",
    "PatientID": "p",
    "PatientBirthDate": "",
    "PatientSex": "",
    "StudyInstanceUID": "1.2.3",
    "StudyID": "1",
    "StudyDate": "20260102",
    "StudyTime": "120000",
    "AccessionNumber": "",
    "ReferringPhysicianName": "",
    "Modality": "MR",
    "SeriesNumber": 1,
    "SliceThickness": 4.0,
    "ContentDate": "20260102",
    "ContentTime": "120000",
    "PositionReferenceIndicator": "",
    "EchoTime": 70.0,
    "EchoTrainLength": 1,
    "ScanningSequence": "EP",
    "SequenceVariant": "NONE",
    "ScanOptions": "",
    "MRAcquisitionType": "2D",
    "RepetitionTime": 4000.0,
}


def converted(datasets: list[FileDataset]) -> FileDataset:
    for one in datasets:
        for name, value in FOR_THE_CONVERTER.items():
            setattr(one, name, value)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return LegacyConvertedEnhancedMRImage(datasets, generate_uid(), 1, generate_uid(), 1)


def test_a_converted_series_reads_as_the_classic_one_does(dicom: SimpleNamespace) -> None:
    axes = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
    affine = dicom.tilted(12)
    settings = {"uid": "1.2.3.8", "affine": affine}
    series = [dicom.raw(0.0, **settings), *(dicom.raw(1000.0, a, **settings) for a in axes)]
    datasets = [one for many in series for one in dicom.classic_datasets(many)]
    classic = read_dicom_pair({f"{k:03d}": dicom.to_bytes(one) for k, one in enumerate(datasets)})
    enhanced = read_dicom_pair({"a": dicom.to_bytes(converted(datasets))})
    for one, other in ((classic.dwi, enhanced.dwi), (classic.adc, enhanced.adc)):
        assert np.array_equal(one.data_XYZ, other.data_XYZ)
        assert np.allclose(one.affine, other.affine, atol=1e-6)
    assert enhanced.provenance["dwi"] == "geometric mean of 3 volumes at b 1000"
