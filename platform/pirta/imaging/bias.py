"""Take the coil's slow shading out of a DWI: N4, fitted on a thinned grid.

Axis suffixes: X Y Z voxels (RAS+) of the scan's own grid. The field is smooth, so it is fitted
on every n-th voxel in the plane and evaluated on all of them. The fit starts from the scan's
own voxels, not from resampled ones, and thins the plane alone: measured on two real cases and
three phantom scanners, averaging or thinning across slices sends N4's early stopping elsewhere
(6 % NRMSE to the fit on all voxels in place of below 2 %). An ADC is a ratio in which the
shading cancels: it comes here by an explicit setting only.

Source: Tustison et al., N4ITK, IEEE TMI 29(6), 2010; ITK's implementation and its defaults.
"""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from pirta.imaging.volume import slice_axis

MIN_LOG_SPREAD = 1e-3


def fit_log_field(
    data_XYZ: NDArray[np.float32],
    mask_XYZ: NDArray[np.bool_],
    spacing_mm: tuple[float, float, float],
    *,
    fit_spacing_mm: float,
    iterations: tuple[int, ...],
) -> NDArray[np.float32]:
    """Return the logarithm of the fitted bias field, mean 0 inside the mask.

    Args:
        data_XYZ: values at or below zero inside the mask are left out of the fit, since N4
            works on logarithms.
        fit_spacing_mm: in-plane spacing that the fitting grid comes closest to.
        iterations: at the most, a fitting level; the knots lie half as far apart at each.
    """
    usable_XYZ = mask_XYZ & (data_XYZ > 0)
    if not _has_contrast(data_XYZ[usable_XYZ]):
        return np.zeros_like(data_XYZ)  # N4 sharpens a histogram: from one bar it makes up a field
    image = _to_itk(data_XYZ, spacing_mm)
    mask = _to_itk(usable_XYZ.astype(np.uint8), spacing_mm)
    fitter = sitk.N4BiasFieldCorrectionImageFilter()
    fitter.SetNumberOfThreads(1)
    fitter.SetMaximumNumberOfIterations(list(iterations))
    factors = thinning(data_XYZ.shape, spacing_mm, fit_spacing_mm=fit_spacing_mm)
    fitter.Execute(sitk.Shrink(image, factors), sitk.Shrink(mask, factors))
    log_field_ZYX = sitk.GetArrayFromImage(fitter.GetLogBiasFieldAsImage(image))
    log_field_XYZ = log_field_ZYX.transpose(2, 1, 0)
    centred_XYZ = log_field_XYZ - log_field_XYZ[mask_XYZ].mean()
    return np.ascontiguousarray(centred_XYZ, dtype=np.float32)


def thinning(
    shape: tuple[int, ...], spacing_mm: tuple[float, float, float], *, fit_spacing_mm: float
) -> list[int]:
    """Return each axis's step of the fitting grid; 1 along the slice axis.

    At least four voxels an axis are kept: N4's spline needs them.
    """
    slices = slice_axis(spacing_mm)
    return [
        1 if axis == slices else max(1, min(round(fit_spacing_mm / side), num_voxels // 4))
        for axis, (side, num_voxels) in enumerate(zip(spacing_mm, shape, strict=True))
    ]


def _has_contrast(values: NDArray[np.float32]) -> bool:
    return values.size > 0 and float(np.log(values).std()) > MIN_LOG_SPREAD


def _to_itk(
    values_XYZ: NDArray[np.float32] | NDArray[np.uint8], spacing_mm: tuple[float, float, float]
) -> sitk.Image:
    """Return an ITK image; ITK's arrays are Z-Y-X."""
    image = sitk.GetImageFromArray(np.ascontiguousarray(values_XYZ.transpose(2, 1, 0)))
    image.SetSpacing(spacing_mm)
    return image
