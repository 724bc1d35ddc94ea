"""A study onto the encoder's grid, against the same steps as one would write them plainly.

Axis suffixes: C channels (0 DWI, 1 ADC), X Y Z voxels. The baseline strips, corrects both
channels with SimpleITK's N4 as it comes (all voxels, its defaults), resamples and normalises,
one after the other. Both sides use the same loaded stripper and one thread, and count CPU
seconds. Ours leaves the ADC uncorrected by default; it is measured with the ADC corrected too,
since only then both do the same work. The error is inside the brain, after normalisation.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import nibabel as nib
import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from bench.result import Ratio
from pirta.cohort.phantom import make_phantom
from pirta.cohort.scanner import external_north
from pirta.contracts.study import StudyImages
from pirta.imaging.adc_units import find_adc_unit
from pirta.imaging.collect import collect_files
from pirta.imaging.normalise import clip_adc, normalise_dwi
from pirta.imaging.prepare import prepare_study
from pirta.imaging.read_pair import read_pair
from pirta.imaging.resample import MIN_FRACTION, grid_affine, mask_fraction, resample_inside
from pirta.imaging.strip import Stripper, make_stripper
from pirta.imaging.volume import Volume
from pirta.settings import PreprocessingSettings

QUESTION = "Preprocessing, CPU time of a study"
REAL = Path(__file__).resolve().parents[1] / ".." / "shared" / "data"


def run() -> Iterator[Ratio]:
    """Measure a phantom's head, and the real cases where they lie beside the checkout."""
    for name, images in _studies():
        yield from _compare(name, images)


def _studies() -> Iterator[tuple[str, StudyImages]]:
    phantom = make_phantom(7, external_north(), None)
    dwi, adc = (
        nib.Nifti1Image(one, phantom.affine).to_bytes()
        for one in (phantom.dwi_IJK, phantom.adc_IJK)
    )
    yield "phantom head", StudyImages(dwi=dwi, adc=adc)
    real = {
        "real head": "jhu-ads-subject02/Subject02_{}.nii.gz",
        "real stripped brain": "isles22-strokecase0009/sub-strokecase0009_ses-0001_{}.nii.gz",
    }
    for name, pattern in real.items():
        kinds = ("DWI", "ADC") if "Subject" in pattern else ("dwi", "adc")
        paths = [REAL / pattern.format(kind) for kind in kinds]
        if all(path.is_file() for path in paths):
            yield name, StudyImages(dwi=paths[0].read_bytes(), adc=paths[1].read_bytes())
    dicom = {
        "real DICOM, 2 mm": "dicom-philips/classic.tar.gz",
        "real DICOM, 3 mm": "dicom-siemens-xa30",
    }
    for name, place in dicom.items():
        if (REAL / place).exists():
            yield name, StudyImages(files=collect_files(str(REAL / place)))


def _compare(name: str, images: StudyImages) -> Iterator[Ratio]:
    both = PreprocessingSettings(n4_on_adc=True)
    stripper = make_stripper(both)
    stripper.strip(read_pair(images).dwi)  # loads the network
    plain_CXYZ, plain_s = _cpu_seconds(lambda: _plain(images, stripper))
    for settings, work in ((both, "both channels corrected"), (PreprocessingSettings(), "default")):
        study, ours_s = _cpu_seconds(
            lambda settings=settings: prepare_study(  # type: ignore[misc]
                images, settings=settings, stripper=stripper
            )
        )
        errors = [
            _nrmse(found_XYZ, plain_XYZ)
            for found_XYZ, plain_XYZ in zip(study.volume_CXYZ, plain_CXYZ, strict=True)
        ]
        yield Ratio(
            f"{QUESTION}, {name}", work, ours_s, "plain pipeline", plain_s, "s",
            plain_s / ours_s, f"NRMSE to it: DWI {errors[0]:.2%}, ADC {errors[1]:.2%}",
        )  # fmt: skip


def _cpu_seconds(call: Callable[[], object]) -> tuple[object, float]:
    started = time.process_time()
    found = call()
    return found, time.process_time() - started


def _plain(images: StudyImages, stripper: Stripper) -> NDArray[np.float32]:
    """Strip, correct each channel on all of its voxels, resample, normalise."""
    pair = read_pair(images)
    brain_XYZ = stripper.strip(pair.dwi)
    reading = find_adc_unit(pair.adc.data_XYZ, brain_XYZ, stated=pair.adc_unit)
    target = grid_affine(brain_XYZ, pair.dwi.affine)
    fraction_XYZ = mask_fraction(brain_XYZ, pair.dwi.affine, target)
    dwi_XYZ, adc_XYZ = (
        resample_inside(_n4(volume, brain_XYZ), brain_XYZ, fraction_XYZ, volume.affine, target)
        for volume in (pair.dwi, pair.adc)
    )
    inside_XYZ = fraction_XYZ >= MIN_FRACTION
    adc_XYZ = adc_XYZ * np.float32(reading.factor)
    return np.stack([normalise_dwi(dwi_XYZ, inside_XYZ), clip_adc(adc_XYZ, inside_XYZ)])


def _n4(volume: Volume, brain_XYZ: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return the volume corrected by SimpleITK's N4 with its defaults."""
    image = sitk.GetImageFromArray(np.ascontiguousarray(volume.data_XYZ.transpose(2, 1, 0)))
    image.SetSpacing(volume.spacing_mm)
    usable_XYZ = (brain_XYZ & (volume.data_XYZ > 0)).astype(np.uint8)
    mask = sitk.GetImageFromArray(np.ascontiguousarray(usable_XYZ.transpose(2, 1, 0)))
    mask.CopyInformation(image)
    fitter = sitk.N4BiasFieldCorrectionImageFilter()
    fitter.SetNumberOfThreads(1)
    corrected_ZYX = sitk.GetArrayFromImage(fitter.Execute(image, mask))
    return np.ascontiguousarray(corrected_ZYX.transpose(2, 1, 0), dtype=np.float32)


def _nrmse(found_XYZ: NDArray[np.float32], wanted_XYZ: NDArray[np.float32]) -> float:
    """Return the root mean square error over the mean, inside the brain.

    Both in units of their own median: N4's fields are free up to a factor.
    """
    inside_XYZ = wanted_XYZ > 0
    found, wanted = (
        one[inside_XYZ] / np.median(one[inside_XYZ]) for one in (found_XYZ, wanted_XYZ)
    )
    return float(np.sqrt(np.mean((found - wanted) ** 2)) / wanted.mean())
