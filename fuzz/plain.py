"""The plain reading of a study, to hold an answer against: other libraries, no checks, no limits.

Axis suffixes: X Y Z voxels (RAS+), N volumes. Images with named roles and 4D NIfTI are read by
nibabel and SimpleITK as anybody would; DICOM is in `plain_dicom`. Only bytes that were answered
come here, so nothing is guarded against what was refused before.
"""

from __future__ import annotations

import tempfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from fuzz.archive_seeds import unpack_plainly
from fuzz.plain_dicom import plain_dicom
from fuzz.plain_pair import PlainPair, plain_fit
from fuzz.study import Study

MAX_UNPACKED_BYTES = 2**29


@dataclass(frozen=True)
class PlainVolume:
    """Values and affine, closest to RAS+; `values` has a fourth axis where the file has one."""

    values: NDArray[np.float64]
    affine: NDArray[np.float64]


def read_plainly(study: Study) -> PlainPair:
    """Return DWI and ADC of a study, or fail in whatever way a library fails."""
    images = study.images()
    if images.dwi is not None:
        dwi = plain_volume(images.dwi)
        if images.adc is not None:
            adc = plain_volume(images.adc)
            return PlainPair(_three(dwi.values), _three(adc.values), dwi.affine)
        assert images.b0 is not None, "an answer without ADC needs a b0"
        assert images.b_value_s_mm2 is not None, "and a b value"
        b0 = plain_volume(images.b0)
        volumes = np.stack([_three(b0.values), _three(dwi.values)], axis=-1)
        return plain_fit(volumes, [0.0, images.b_value_s_mm2], dwi.affine)
    files = dict(images.files)
    if study.form == "archive":
        (data,) = files.values()
        files = unpack_plainly(data)
    return plain_dicom(files) if study.format == "dicom" else _plain_series(files)


def plain_volume(data: bytes) -> PlainVolume:
    """Return a NIfTI's values by nibabel, a MetaImage's by SimpleITK."""
    raw = data
    if data[:2] == b"\x1f\x8b":
        raw = zlib.decompressobj(wbits=31).decompress(data, MAX_UNPACKED_BYTES)
    size = int.from_bytes(raw[:4], "little")
    swapped = int.from_bytes(raw[:4], "big")
    if 348 in (size, swapped) or 540 in (size, swapped):
        kind = nib.Nifti1Image if 348 in (size, swapped) else nib.Nifti2Image
        image = nib.as_closest_canonical(kind.from_bytes(raw))
        return PlainVolume(np.asarray(image.get_fdata()), np.asarray(image.affine))
    return _plain_metaimage(raw)


def _plain_metaimage(raw: bytes) -> PlainVolume:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "volume.mha"
        path.write_bytes(raw)
        image = sitk.ReadImage(str(path))
    lps = np.eye(4)
    directions = np.array(image.GetDirection()).reshape(3, 3)
    lps[:3, :3] = directions * np.array(image.GetSpacing())
    lps[:3, 3] = image.GetOrigin()
    values_XYZ = sitk.GetArrayFromImage(image).transpose(2, 1, 0).astype(np.float64)
    turned = nib.as_closest_canonical(
        nib.Nifti1Image(values_XYZ, np.diag([-1.0, -1.0, 1.0, 1.0]) @ lps)
    )
    return PlainVolume(np.asarray(turned.get_fdata()), np.asarray(turned.affine))


def _plain_series(files: dict[str, bytes]) -> PlainPair:
    """Read the one image among the files, and the b values from the .bval."""
    (image,) = {data for name, data in files.items() if name.endswith((".nii", ".nii.gz"))}
    (text,) = {data for name, data in files.items() if name.endswith(".bval")}
    volume = plain_volume(image)
    b_values = [float(word) for word in text.decode().replace(",", " ").split()]
    return plain_fit(volume.values, b_values, volume.affine)


def _three(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return values.reshape(values.shape[:3])
