"""N4 on the prepared grid with a shrink, against N4 on the whole prepared grid and on the scan.

Axis suffixes: X Y Z voxels. The study is a phantom of a research scanner, with its coil's
shading. The error is against the slower fit on the same grid; what the reader of a report
would notice is not measured here.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from bench.result import Ratio, seconds_in_turns
from pirta.cohort.phantom import make_phantom
from pirta.cohort.scanner import research_scanner
from pirta.imaging.bias import CONTROL_POINTS, CONVERGENCE, correct_bias
from pirta.imaging.resample import MIN_FRACTION, grid_affine, mask_fraction, resample_inside
from pirta.settings import PreprocessingSettings

QUESTION = "N4 bias correction, one study"


def run() -> Iterator[Ratio]:
    """Measure the default shrink against no shrink, and both against the native grid."""
    settings = PreprocessingSettings()
    phantom = make_phantom(7, research_scanner(), None)
    brain_XYZ = phantom.brain_IJK.astype(bool)
    scan_XYZ = phantom.dwi_IJK.astype(np.float32)
    target = grid_affine(brain_XYZ, phantom.affine)
    fraction_XYZ = mask_fraction(brain_XYZ, phantom.affine, target)
    grid_XYZ = resample_inside(scan_XYZ, brain_XYZ, fraction_XYZ, phantom.affine, target)
    inside_XYZ = fraction_XYZ >= MIN_FRACTION
    corrected: dict[int, NDArray[np.float32]] = {}

    def correct(shrink: int) -> None:
        corrected[shrink] = correct_bias(
            grid_XYZ, inside_XYZ, shrink=shrink, iterations=settings.n4_iterations
        )

    shrunk_s, whole_s = seconds_in_turns(
        lambda: correct(settings.n4_shrink), lambda: correct(1), repeats=1, warm_up=False
    )
    spacing_mm = np.linalg.norm(phantom.affine[:3, :3], axis=0)
    (native_s,) = seconds_in_turns(
        lambda: _correct_native(scan_XYZ, brain_XYZ, spacing_mm, settings.n4_iterations),
        repeats=1,
        warm_up=False,
    )
    difference = corrected[settings.n4_shrink][inside_XYZ] - corrected[1][inside_XYZ]
    nrmse = float(np.sqrt(np.mean(difference**2)) / corrected[1][inside_XYZ].mean())
    ours = f"2x2x4 mm, shrink {settings.n4_shrink}"
    yield Ratio(
        QUESTION, ours, shrunk_s, "2x2x4 mm", whole_s, "s", whole_s / shrunk_s,
        f"NRMSE to the baseline {nrmse:.2%}",
    )  # fmt: skip
    shape = "x".join(str(side) for side in scan_XYZ.shape)
    yield Ratio(
        QUESTION, ours, shrunk_s, f"the scan's own {shape} grid", native_s, "s",
        native_s / shrunk_s, "same levels and iterations",
    )  # fmt: skip


def _correct_native(
    scan_XYZ: NDArray[np.float32],
    brain_XYZ: NDArray[np.bool_],
    spacing_mm: NDArray[np.float64],
    iterations: tuple[int, ...],
) -> None:
    """Fit and apply N4 as one would without a prepared grid."""
    image = sitk.GetImageFromArray(np.ascontiguousarray(scan_XYZ.transpose(2, 1, 0)))
    image.SetSpacing([float(side) for side in spacing_mm])
    usable_XYZ = (brain_XYZ & (scan_XYZ > 0)).astype(np.uint8)
    mask = sitk.GetImageFromArray(np.ascontiguousarray(usable_XYZ.transpose(2, 1, 0)))
    mask.CopyInformation(image)
    fitter = sitk.N4BiasFieldCorrectionImageFilter()
    fitter.SetNumberOfThreads(1)
    fitter.SetNumberOfControlPoints(CONTROL_POINTS)
    fitter.SetConvergenceThreshold(CONVERGENCE)
    fitter.SetMaximumNumberOfIterations(list(iterations))
    fitter.Execute(image, mask)
