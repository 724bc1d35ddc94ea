"""Seed studies in MetaImage, raw and compressed, with the patient in a comment line.

Axis suffixes: X Y Z voxels (RAS+ in the head, LPS+ in the file's directions).
"""

from __future__ import annotations

import zlib

import numpy as np
from numpy.typing import NDArray

from fuzz.head import Head
from fuzz.study import ACCESSION, PATIENT, Study


def metaimage(
    values: NDArray[np.int16] | NDArray[np.float32],
    affine: NDArray[np.float64],
    *,
    packed: bool = False,
) -> bytes:
    """Return a MetaImage with its voxels inside; world axes are LPS+."""
    spacing_mm = np.linalg.norm(affine[:3, :3], axis=0)
    directions = (np.diag([-1.0, -1.0, 1.0]) @ affine[:3, :3] / spacing_mm).T.ravel()
    origin = np.diag([-1.0, -1.0, 1.0]) @ affine[:3, 3]
    data = values.tobytes("F")
    body = zlib.compress(data, 1) if packed else data
    lines = {
        "ObjectType": "Image",
        "NDims": "3",
        "Comment": f"{PATIENT} {ACCESSION}",
        "BinaryData": "True",
        "BinaryDataByteOrderMSB": "False",
        "CompressedData": str(packed),
        **({"CompressedDataSize": str(len(body))} if packed else {}),
        "TransformMatrix": _words(directions),
        "Offset": _words(origin),
        "ElementSpacing": _words(spacing_mm),
        "DimSize": _words(values.shape),
        "ElementType": "MET_FLOAT" if values.dtype == np.float32 else "MET_SHORT",
        "ElementDataFile": "LOCAL",
    }
    return "".join(f"{name} = {value}\n" for name, value in lines.items()).encode() + body


def pair(head: Head, *, packed: bool = False) -> Study:
    """Return a named DWI and ADC."""
    adc_XYZ = head.adc_XYZ.astype(np.float32)
    return Study(
        parts={
            "dwi": metaimage(head.signal(1000), head.affine, packed=packed),
            "adc": metaimage(adc_XYZ, head.affine, packed=packed),
        },
        form="named",
        format="metaimage",
        b_value_s_mm2=1000.0,
    )


def _words(numbers: object) -> str:
    return " ".join(f"{number:g}" for number in np.asarray(numbers).tolist())
