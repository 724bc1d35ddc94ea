"""Seed studies from the real cases that may lie beside the checkout (`shared/data`).

Nothing of them is copied into the project. Of the classic series a b0 volume and six directions
are taken, so that a case stays quick.
"""

from __future__ import annotations

import io
import tarfile
from collections import defaultdict
from pathlib import Path

import pydicom

from fuzz.study import Study

NUM_DIRECTIONS = 6


def isles(folder: Path) -> Study:
    """Return a stripped brain's DWI and ADC in NIfTI."""
    names = {role: f"sub-strokecase0009_ses-0001_{role}.nii.gz" for role in ("dwi", "adc")}
    place = folder / "isles22-strokecase0009"
    parts = {role: (place / name).read_bytes() for role, name in names.items()}
    return Study(parts=parts, form="named", format="nifti", b_value_s_mm2=800.0)


def jhu(folder: Path) -> Study:
    """Return a head's DWI and b0 in NIfTI, of which the ADC is computed."""
    place = folder / "jhu-ads-subject02"
    names = {"dwi": "Subject02_DWI.nii.gz", "b0": "Subject02_b0.nii.gz"}
    parts = {role: (place / name).read_bytes() for role, name in names.items()}
    return Study(parts=parts, form="named", format="nifti", b_value_s_mm2=1000.0)


def siemens(folder: Path) -> Study:
    """Return a scanner's ADC and trace in Enhanced DICOM."""
    place = folder / "dicom-siemens-xa30"
    parts = {name: (place / name).read_bytes() for name in ("series11.dcm", "series12.dcm")}
    return Study(parts=parts, form="bag", format="dicom")


def philips(folder: Path) -> Study:
    """Return a b0 volume and six directions of a classic series."""
    volumes: dict[tuple[float, str], dict[str, bytes]] = defaultdict(dict)
    with tarfile.open(folder / "dicom-philips" / "classic.tar.gz") as archive:
        for member in archive:
            stream = archive.extractfile(member) if member.isreg() else None
            data = stream.read() if stream is not None else b""
            one = pydicom.dcmread(io.BytesIO(data), stop_before_pixels=True, force=True)
            if one.get("ImagePositionPatient") is not None:
                way = str(one.get("DiffusionGradientOrientation"))
                volumes[float(one.get("DiffusionBValue", 0)), way][member.name] = data
    chosen: dict[str, bytes] = {}
    for key in sorted(volumes)[:1] + sorted(key for key in volumes if key[0] > 1)[:NUM_DIRECTIONS]:
        chosen |= volumes[key]
    return Study(parts=chosen, form="bag", format="dicom")
