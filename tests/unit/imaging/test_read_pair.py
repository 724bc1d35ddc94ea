"""Every form in which a study comes gives the same pair, and what cannot be told is refused."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from pirta.contracts.study import StudyImages
from pirta.errors import (
    ChannelMismatchError,
    FileMissingError,
    FileUnreadableError,
    InputError,
    PirtaError,
    SeriesError,
)
from pirta.imaging.diffusion_pair import DiffusionPair
from pirta.imaging.read_pair import read_pair

Nifti = Callable[..., bytes]
AFFINE = np.diag([-3.0, 3.0, 4.0, 1.0])
SHAPE = (8, 9, 6)
DIRECTIONS = b"0 1 0 0\n0 0 1 0\n0 0 0 1\n"
B_VALUES = b"0 1000 1000 1000\n"


def _mha(folder: Path, data_XYZ: np.ndarray) -> bytes:
    image = sitk.GetImageFromArray(np.ascontiguousarray(data_XYZ.transpose(2, 1, 0)))
    image.SetSpacing((3.0, 3.0, 4.0))
    image.SetDirection((1.0, 0, 0, 0, -1.0, 0, 0, 0, 1.0))  # LPS: the affine's -3, 3, 4 in RAS
    sitk.WriteImage(image, str(folder / "x.mha"))
    return (folder / "x.mha").read_bytes()


def _zip(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as packed:
        for name, content in files.items():
            packed.writestr(name, content)
    return out.getvalue()


@pytest.fixture
def forms(phantom, nifti: Nifti, tmp_path: Path) -> dict[str, StudyImages]:
    """One phantom in every form that is taken."""
    dwi, adc, b0, series = (
        nifti(one, AFFINE) for one in (phantom.dwi, phantom.adc, phantom.b0, phantom.series)
    )
    dwi_mha, adc_mha, b0_mha = (_mha(tmp_path, x) for x in (phantom.dwi, phantom.adc, phantom.b0))
    four = {"a/x.nii.gz": series, "a/x.bval": B_VALUES, "a/x.bvec": DIRECTIONS}
    b1000 = json.dumps({"DiffusionBValue": 1000, "SliceThickness": 3.5}).encode()
    bids = {"s_dwi.nii.gz": dwi, "s_dwi.json": b1000, "s_adc.nii.gz": adc, "s_b0.nii.gz": b0}
    return {
        "named nifti": StudyImages(dwi=dwi, adc=adc, b0=b0),
        "named metaimage": StudyImages(dwi=dwi_mha, adc=adc_mha, b0=b0_mha),
        "named mixed": StudyImages(dwi=dwi_mha, adc=adc, b0=b0),
        "named dwi and b0": StudyImages(dwi=dwi, b0=b0_mha, b_value_s_mm2=1000),
        "series with bval and bvec": StudyImages(files=four),
        "series with bval elsewhere": StudyImages(
            files={"d/y.nii.gz": series, "bvals": B_VALUES, "bvecs": DIRECTIONS}
        ),
        "series in a zip": StudyImages(files={"study": _zip(four)}),
        "single volumes": StudyImages(files=bids),
        "single metaimages": StudyImages(
            files={"p DWI.mha": dwi_mha, "p ADC.mha": adc_mha, "p b0.mha": b0_mha}
        ),
        "dwi and b0 by sidecar": StudyImages(
            files={
                "1.nii.gz": b0,
                "1.json": b'{"DiffusionBValue": 0.002}',
                "2.nii.gz": dwi,
                "2.json": b1000,
                "3.nii": nifti(phantom.dwi, AFFINE, packed=False),
            }
        ),
        "series and the scanner's adc": StudyImages(
            files={**four, "x_adc.nii.gz": adc, "x_fa.nii.gz": b0, "notes.txt": b"text"}
        ),
    }


FORMS = (
    "named nifti",
    "named metaimage",
    "named mixed",
    "named dwi and b0",
    "series with bval and bvec",
    "series with bval elsewhere",
    "series in a zip",
    "single volumes",
    "single metaimages",
    "dwi and b0 by sidecar",
    "series and the scanner's adc",
)


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_one_study_gives_the_same_pair(
    forms: dict[str, StudyImages], phantom, form: str
) -> None:
    assert set(FORMS) == set(forms)
    pair: DiffusionPair = read_pair(forms[form])
    for found, stored in ((pair.dwi, phantom.dwi), (pair.adc, phantom.adc), (pair.b0, phantom.b0)):
        assert found is not None
        np.testing.assert_allclose(found.data_XYZ, stored[::-1], rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(found.affine[:3, :3], np.diag([3.0, 3.0, 4.0]), atol=1e-12)
        assert found.affine[0, 3] == -3.0 * (SHAPE[0] - 1)
    assert pair.b_value_s_mm2 in (None, 1000.0)
    assert {"dwi", "adc"} <= set(pair.provenance)


def test_what_a_sidecar_says_comes_along(forms: dict[str, StudyImages], nifti: Nifti) -> None:
    files = dict(forms["single volumes"].files)
    pair = read_pair(StudyImages(files=files))
    assert (pair.b_value_s_mm2, pair.slice_thickness_mm, pair.adc_unit) == (1000.0, 3.5, None)
    files["s_adc.json"] = b'{"Units": "mm^2/s", "ImageType": ["DERIVED", "ADC"]}'
    assert read_pair(StudyImages(files=files)).adc_unit == "mm²/s"
    fitted = read_pair(forms["series with bval and bvec"])
    assert fitted.adc_unit == "10⁻³ mm²/s"
    assert fitted.provenance["dwi"] == "geometric mean of 3 volumes at b 1000"


@pytest.mark.parametrize(
    ("drop", "kind", "words"),
    [
        ({"dwi"}, FileMissingError, "DWI file is missing"),
        ({"adc", "b0"}, FileMissingError, "ADC file is missing"),
        ({"adc"}, SeriesError, "b value is not told"),
        ({"dwi", "adc", "b0"}, FileMissingError, "DWI file is missing"),
    ],
)
def test_a_named_file_that_is_missing_is_told(
    forms: dict[str, StudyImages], drop: set[str], kind: type[PirtaError], words: str
) -> None:
    whole = forms["named nifti"]
    kept = {role: getattr(whole, role) for role in {"dwi", "adc", "b0"} - drop}
    with pytest.raises(kind, match=words):
        read_pair(StudyImages(**kept))


def test_a_named_b0_on_another_grid_is_refused(
    forms: dict[str, StudyImages], phantom, nifti: Nifti
) -> None:
    other = nifti(phantom.b0[:, :, 1:], AFFINE)
    whole = forms["named nifti"]
    for images in (
        StudyImages(dwi=whole.dwi, adc=whole.adc, b0=other),
        StudyImages(dwi=whole.dwi, b0=other, b_value_s_mm2=1000),
        StudyImages(files={"a_dwi.nii": whole.dwi, "a_adc.nii": whole.adc, "a_b0.nii": other}),
    ):
        with pytest.raises(ChannelMismatchError, match="b0 has 8x9x5"):
            read_pair(images)


def test_files_of_a_study_beside_named_ones_are_refused(forms: dict[str, StudyImages]) -> None:
    files = forms["single volumes"].files
    with pytest.raises(InputError, match="4 files and as DWI besides"):
        read_pair(StudyImages(dwi=b"x", files=files))


def test_one_role_in_dicom_and_the_other_not_is_refused(forms: dict[str, StudyImages]) -> None:
    dicom = bytes(128) + b"DICM" + bytes(64)
    with pytest.raises(ChannelMismatchError, match="ADC came as DICOM"):
        read_pair(StudyImages(dwi=forms["named nifti"].dwi, adc=dicom))


def test_a_file_of_no_known_format_is_told_by_its_role() -> None:
    with pytest.raises(FileUnreadableError, match="DWI file is neither NIfTI nor MetaImage"):
        read_pair(StudyImages(dwi=b"text", adc=b"text"))
    with pytest.raises(FileMissingError, match="DWI file holds no bytes"):
        read_pair(StudyImages(dwi=b"", adc=b""))


def test_enhanced_dicom_files_come_by_their_roles_or_as_an_archive(shared_data: Path) -> None:
    folder = shared_data / "dicom-siemens-xa30"
    adc, dwi = ((folder / f"series{number}.dcm").read_bytes() for number in (11, 12))
    named = read_pair(StudyImages(dwi=dwi, adc=adc))
    packed = read_pair(StudyImages(files={"study": _zip({"2": dwi, "1": adc, "notes": b"x"})}))
    for one, other in ((named.dwi, packed.dwi), (named.adc, packed.adc)):
        np.testing.assert_array_equal(one.data_XYZ, other.data_XYZ)
        np.testing.assert_array_equal(one.affine, other.affine)


def test_the_real_cases_come_as_folders_too(shared_data: Path) -> None:
    for folder, b_value, thickness in (
        ("isles22-strokecase0009", 800.0, 2.0),
        ("jhu-ads-subject02", None, None),
    ):
        files = {one.name: one.read_bytes() for one in (shared_data / folder).iterdir()}
        pair = read_pair(StudyImages(files=files))
        assert (pair.b_value_s_mm2, pair.slice_thickness_mm) == (b_value, thickness)
        assert (pair.b0 is not None) == (b_value is None)
