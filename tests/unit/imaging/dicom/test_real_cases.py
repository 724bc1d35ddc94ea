"""Two real studies, held against GDCM's reading of the same files (through SimpleITK).

Skipped where the shared data is absent. Axis suffixes: X Y Z voxels (RAS+).
"""

from __future__ import annotations

import io
import random
import tarfile
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from numpy.typing import NDArray

from pirta.imaging.dicom.read import read_dicom_pair
from pirta.imaging.dicom.series import find_runs
from pirta.imaging.dicom.study import read_slices
from pirta.imaging.diffusion_pair import DiffusionPair
from pirta.imaging.volume import Volume

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0])


def as_ras(image: sitk.Image) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return another reader's voxels (index order x, y, z) and its affine, RAS+."""
    affine = np.eye(4)
    direction = np.array(image.GetDirection()).reshape(3, 3)
    affine[:3, :3] = LPS_TO_RAS @ direction @ np.diag(image.GetSpacing())
    affine[:3, 3] = LPS_TO_RAS @ np.array(image.GetOrigin())
    return sitk.GetArrayFromImage(image).T.astype(np.float64), affine


def at_same_places(found: Volume, values: NDArray[np.float64], affine: NDArray[np.float64]) -> bool:
    """Compare voxel by voxel at the same millimetres, whatever the two orders of voxels."""
    index = np.indices(found.data_XYZ.shape).reshape(3, -1)
    other = np.linalg.inv(affine) @ found.affine @ np.vstack([index, np.ones(index.shape[1])])
    nearest = np.rint(other[:3]).astype(int)
    assert np.abs(other[:3] - nearest).max() < 1e-3, "the grids do not coincide"
    return bool(np.allclose(values[tuple(nearest)], found.data_XYZ.ravel(), rtol=1e-5, atol=1e-3))


@pytest.fixture(scope="module")
def siemens(shared_data: Path) -> dict[str, bytes]:
    folder = shared_data / "dicom-siemens-xa30"
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.dcm"))}


@pytest.fixture(scope="module")
def philips(shared_data: Path) -> dict[str, bytes]:
    with tarfile.open(shared_data / "dicom-philips" / "classic.tar.gz") as archive:
        members = [one for one in archive if one.isfile()]
        files = [archive.extractfile(one) for one in members]
        contents = [one.read() for one in files if one is not None]
    random.Random(1).shuffle(contents)
    assert len(contents) == 547
    return {str(number): data for number, data in enumerate(contents)}


@pytest.fixture(scope="module")
def philips_pair(philips: dict[str, bytes]) -> DiffusionPair:
    return read_dicom_pair(philips)


def test_siemens_adc_and_trace_are_the_scanners_out_of_four_series(
    siemens: dict[str, bytes], shared_data: Path
) -> None:
    pair = read_dicom_pair(siemens)
    assert pair.provenance["dicom"] == "4 MR images, 1 of them of no use"  # FA
    for volume, name in ((pair.adc, "series11"), (pair.dwi, "series12"), (pair.b0, "series10-raw")):
        path = shared_data / "dicom-siemens-xa30" / f"{name}.dcm"
        values, affine = as_ras(sitk.ReadImage(str(path)))
        assert volume is not None
        assert volume.data_XYZ.shape == (72, 72, 39)
        assert at_same_places(volume, values, affine)
    assert pair.adc_unit == "10⁻⁶ mm²/s"
    assert pair.b_value_s_mm2 == 2500
    assert pair.provenance["adc"] == "scanner ADC map"


def test_siemens_adc_equals_the_stored_numbers(siemens: dict[str, bytes]) -> None:
    pair = read_dicom_pair({name: siemens[name] for name in ("series11.dcm", "series12.dcm")})
    stored = pydicom.dcmread(io.BytesIO(siemens["series11.dcm"])).pixel_array  # slice, row, column
    # Rows run to the back and columns to the left: both turn round on the way to RAS+.
    assert np.array_equal(pair.adc.data_XYZ, stored.transpose(2, 1, 0)[::-1, ::-1, :])


def test_philips_trace_and_adc_are_computed_from_547_shuffled_members(
    philips_pair: DiffusionPair,
) -> None:
    pair = philips_pair
    assert pair.dwi.data_XYZ.shape == (112, 112, 32)
    assert pair.provenance["dwi"] == "geometric mean of 12 volumes at b 1000"
    assert pair.provenance["b0"] == "mean of 5"
    assert pair.provenance["directions"] == "12"
    assert pair.provenance["ignored"] == "3 DICOM objects and 0 other files"
    assert pair.b0 is not None
    bright_XYZ = pair.b0.data_XYZ > np.percentile(pair.b0.data_XYZ, 75)
    assert 0.7 < float(np.median(pair.adc.data_XYZ[bright_XYZ])) < 1.0


def test_a_philips_volume_lies_where_gdcm_puts_it(
    philips: dict[str, bytes], philips_pair: DiffusionPair, tmp_path: Path
) -> None:
    tags = ["SOPClassUID", "DiffusionBValue", "ImagePositionPatient"]
    found = []
    for data in philips.values():
        header = pydicom.dcmread(io.BytesIO(data), specific_tags=tags)
        if header.get("DiffusionBValue") == 0:
            found.append((header.ImagePositionPatient[2], data))
    paths = [str(tmp_path / f"{number}.dcm") for number in range(len(found))]
    for path, (_, data) in zip(paths, sorted(found), strict=True):
        Path(path).write_bytes(data)
    values, affine = as_ras(sitk.ReadImage(paths))
    slices, _ = read_slices({str(number): data for number, (_, data) in enumerate(found)})
    (run,) = find_runs(slices)
    (stack,) = run.stacks
    volume = stack.read()
    assert at_same_places(volume, values, affine)
    assert np.allclose(volume.affine, philips_pair.dwi.affine, atol=1e-6)
    # Which way the axes run: X to the patient's right, Y to the front, Z to the head.
    assert (np.diag(volume.affine)[:3] > 1.9).all()
