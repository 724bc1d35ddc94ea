"""Take the coil's slow shading out of a DWI: N4 on the prepared grid.

Axis suffixes: X Y Z voxels (RAS+, 2x2x4 mm). The field is fitted on a grid shrunk further in
the plane and applied at the full one: measured on two real cases, a shrink of 4 is within
0.5 and 1.4 % (NRMSE) of a shrink of 2 and takes 1 s instead of 4. Three levels, not four: the
fourth's knots lie 24 mm apart and start to flatten infarcts. An ADC is a ratio in which the shading
cancels: it comes here by an explicit setting only.

Source: Tustison et al., N4ITK, IEEE TMI 29(6), 2010; ITK's implementation.
"""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from pirta.contracts.study import GRID_SPACING_MM

CONTROL_POINTS = (4, 4, 4)
CONVERGENCE = 1e-3
MIN_LOG_SPREAD = 1e-3


def correct_bias(
    data_XYZ: NDArray[np.float32],
    mask_XYZ: NDArray[np.bool_],
    *,
    shrink: int,
    iterations: tuple[int, ...],
) -> NDArray[np.float32]:
    """Return the volume divided by its fitted bias field (mean 1 inside the mask).

    Args:
        data_XYZ: on the prepared grid; values at or below zero inside the mask are left out
            of the fit, since N4 works on logarithms.
        shrink: in-plane factor of the fitting grid.
        iterations: at the most, a fitting level.
    """
    usable_XYZ = mask_XYZ & (data_XYZ > 0)
    if not _has_contrast(data_XYZ[usable_XYZ]):
        return data_XYZ.copy()  # N4 sharpens a histogram: from one bar it makes up a field
    image, mask = _to_itk(data_XYZ), _to_itk(usable_XYZ.astype(np.uint8))
    fitter = sitk.N4BiasFieldCorrectionImageFilter()
    fitter.SetNumberOfThreads(1)
    fitter.SetNumberOfControlPoints(CONTROL_POINTS)
    fitter.SetConvergenceThreshold(CONVERGENCE)
    fitter.SetMaximumNumberOfIterations(list(iterations))
    factors = [shrink, shrink, 1]
    fitter.Execute(sitk.Shrink(image, factors), sitk.Shrink(mask, factors))
    log_field_ZYX = sitk.GetArrayFromImage(fitter.GetLogBiasFieldAsImage(image))
    log_field_XYZ = log_field_ZYX.transpose(2, 1, 0)
    log_field_XYZ = log_field_XYZ - log_field_XYZ[mask_XYZ].mean()
    corrected_XYZ = data_XYZ / np.exp(log_field_XYZ)
    return np.ascontiguousarray(corrected_XYZ, dtype=np.float32)


def _has_contrast(values: NDArray[np.float32]) -> bool:
    return values.size > 0 and float(np.log(values).std()) > MIN_LOG_SPREAD


def _to_itk(values_XYZ: NDArray[np.float32] | NDArray[np.uint8]) -> sitk.Image:
    """Return an ITK image; ITK's arrays are Z-Y-X."""
    image = sitk.GetImageFromArray(np.ascontiguousarray(values_XYZ.transpose(2, 1, 0)))
    image.SetSpacing(GRID_SPACING_MM)
    return image
