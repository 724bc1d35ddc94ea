"""A volume as the bytes of a gzipped NIfTI file, the same bytes for the same voxels.

The affine is in millimetres and stands as both qform and sform. Nothing is written here.
"""

from __future__ import annotations

import gzip

import nibabel as nib
import numpy as np
from numpy.typing import NDArray


def nifti_bytes(values: NDArray[np.generic], affine: NDArray[np.float64]) -> bytes:
    """Return a gzipped NIfTI without a time stamp."""
    image = nib.Nifti1Image(values, affine)
    image.header.set_xyzt_units("mm", "sec")
    image.set_qform(affine, code=1)
    image.set_sform(affine, code=1)
    return gzip.compress(image.to_bytes(), compresslevel=3, mtime=0)
