"""Seed studies in NIfTI: version 1 and 2, plain and packed, scaled, 3D pairs and 4D with b values.

Axis suffixes: X Y Z voxels, N volumes. The header's free text holds the patient's marks.
"""

from __future__ import annotations

import gzip
import json

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from fuzz.head import Head
from fuzz.study import ACCESSION, FILE_STEM, PATIENT, Study

NUM_DIRECTIONS = 3


def nifti(
    values: NDArray[np.generic],
    affine: NDArray[np.float64],
    *,
    version: int = 1,
    packed: bool = False,
    slope: float | None = None,
    axes: str = "RAS",
) -> bytes:
    """Return a single-file NIfTI whose header names the patient.

    Args:
        slope: stored values are to be multiplied by it.
        axes: how the array is stored.
    """
    kind = nib.Nifti2Image if version == 2 else nib.Nifti1Image
    turn = nib.orientations.ornt_transform(
        nib.io_orientation(affine), nib.orientations.axcodes2ornt(axes)
    )
    stored = np.ascontiguousarray(nib.orientations.apply_orientation(values, turn))
    turned = affine @ nib.orientations.inv_ornt_aff(turn, values.shape[:3])
    image = kind(stored, turned)
    image.set_qform(turned, code=1)
    image.header["descrip"] = f"{PATIENT} {ACCESSION}".encode()
    image.header["intent_name"] = PATIENT.encode()
    image.header["aux_file"] = FILE_STEM.encode()
    header = image.header.copy()  # nibabel would scale anew on the way out
    header.set_slope_inter(1 if slope is None else slope, 0)
    header["vox_offset"] = header.sizeof_hdr + 4
    raw = bytes(header.binaryblock + bytes(4) + stored.tobytes("F"))
    return gzip.compress(raw, 1, mtime=0) if packed else raw


def pair(head: Head, *, version: int = 1, packed: bool = False, axes: str = "RAS") -> Study:
    """Return a named DWI and ADC, the ADC in scaled whole numbers."""
    return Study(
        parts={
            "dwi": nifti(head.signal(1000), head.affine, version=version, packed=packed, axes=axes),
            "adc": nifti(
                head.adc_micro(),
                head.affine,
                version=version,
                packed=packed,
                slope=0.001,
                axes=axes,
            ),
        },
        form="named",
        format="nifti",
        b_value_s_mm2=1000.0,
    )


def with_b0(head: Head) -> Study:
    """Return a named DWI and b0 of which the ADC is to be computed."""
    volumes = {"dwi": head.signal(1000), "b0": head.signal(0)}
    return Study(
        parts={role: nifti(one, head.affine, packed=True) for role, one in volumes.items()},
        form="named",
        format="nifti",
        b_value_s_mm2=1000.0,
    )


def series(head: Head) -> Study:
    """Return a bag of one 4D file with its b values, directions and sidecar."""
    directions = np.eye(3)
    pulls = (0.1, 0.0, -0.1)
    volumes_XYZN = np.stack(
        [head.signal(0), *(head.signal(1000, pull=pull) for pull in pulls)], axis=-1
    )
    rows = np.concatenate([np.zeros((1, 3)), directions]).T
    sidecar = {"PatientName": PATIENT, "AccessionNumber": ACCESSION, "Modality": "MR"}
    return Study(
        parts={
            f"{FILE_STEM}.nii.gz": nifti(volumes_XYZN, head.affine, packed=True),
            f"{FILE_STEM}.bval": b"0 1000 1000 1000\n",
            f"{FILE_STEM}.bvec": "\n".join(" ".join(map(str, row)) for row in rows).encode(),
            f"{FILE_STEM}.json": json.dumps(sidecar).encode(),
        },
        form="bag",
        format="nifti",
    )
