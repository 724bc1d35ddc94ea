"""The preprocessor's deployment as a plain object: each site's own quality limits."""

from __future__ import annotations

import io
import zipfile

import nibabel as nib
import numpy as np
import pytest

from pirta.contracts.study import PreparedStudy, StudyFiles, StudyImages
from pirta.errors import QualityError, SeriesError
from pirta.pipelines.pseudonyms import pseudonym
from pirta.settings import PreprocessingSettings, QualitySettings, Settings
from serve_apps.preprocessor import Preprocessor
from tests.unit.pipelines.headers import dicom_header

SETTINGS = Settings(
    preprocessing=PreprocessingSettings(
        stripper="already-stripped", n4_fit_spacing_mm=16, n4_iterations=(2,)
    ),
    site_quality={"north": {"unknown_side": "warn"}},  # type: ignore[dict-item]
)


@pytest.fixture(scope="module")
def images() -> StudyImages:
    """A stripped ellipsoid of a brain whose header does not say which side is left."""
    x, y, z = np.ix_(*(np.linspace(-1.2, 1.2, side) for side in (44, 52, 40)))
    brain_XYZ = x**2 + y**2 + z**2 < 1
    fluid_XYZ = x**2 + y**2 + z**2 < 0.1
    rng = np.random.default_rng(0)
    dwi_XYZ = np.where(fluid_XYZ, 70, 300) + rng.normal(0, 10, brain_XYZ.shape)
    adc_XYZ = np.where(fluid_XYZ, 3.0, 0.8) + rng.normal(0, 0.05, brain_XYZ.shape)

    def stored(data_XYZ: np.ndarray) -> bytes:
        values_XYZ = np.where(brain_XYZ, data_XYZ, 0).astype(np.float32)
        image = nib.Nifti1Image(values_XYZ, np.diag([3.5, 4.0, 4.0, 1.0]))
        image.set_sform(None, code=0)
        image.set_qform(None, code=0)
        data: bytes = image.to_bytes()
        return data

    return StudyImages(dwi=stored(dwi_XYZ), adc=stored(adc_XYZ))


async def test_a_study_is_judged_by_its_own_sites_limits(images: StudyImages) -> None:
    preprocessor = Preprocessor(
        SETTINGS.preprocessing,
        quality=SETTINGS.quality,
        site_quality=SETTINGS.site_quality,
        patient_key=None,
    )
    prepared = await preprocessor.prepare(StudyFiles("study-1", "north", images))
    (side,) = [one for one in prepared.gates if one.gate == "unknown_side"]
    assert side.verdict == "warn"
    assert side.reason in str(prepared.facts["warnings"])
    with pytest.raises(QualityError, match="left and right are assumed"):
        await preprocessor.prepare(StudyFiles("study-2", "south", images))
    assert SETTINGS.quality_for("south") == QualitySettings()


def packed(*files: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for number, data in enumerate(files):
            archive.writestr(f"{number}.dcm", data)
    return buffer.getvalue()


async def test_the_images_themselves_tell_whose_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    def prepare(images: StudyImages, **_: object) -> PreparedStudy:
        return PreparedStudy(np.zeros((2, 1, 1, 1), np.float32), "prep-1", {})

    monkeypatch.setattr("serve_apps.preprocessor.prepare_study", prepare)
    header = dicom_header("1.2.3", "4711")

    async def name(images: StudyImages, key: str | None) -> str | None:
        preprocessor = Preprocessor(
            SETTINGS.preprocessing,
            quality=SETTINGS.quality,
            site_quality=SETTINGS.site_quality,
            patient_key=key,
        )
        return (await preprocessor.prepare(StudyFiles("study-1", "north", images))).patient_id

    expected = pseudonym("patient", "4711", "key")  # as the archive's own scan names this patient
    assert await name(StudyImages(files={"study": packed(header, header)}), "key") == expected
    assert await name(StudyImages(files={"study": header}), "key") == expected
    assert await name(StudyImages(dwi=b"nifti", adc=header), "key") == expected
    assert await name(StudyImages(dwi=b"nifti", adc=b"nifti"), "key") is None
    assert await name(StudyImages(files={"study": header}), None) is None
    other = dicom_header("1.2.3", "4712")
    with pytest.raises(SeriesError, match="2 patients"):
        await name(StudyImages(files={"study": packed(header, other)}), "key")
