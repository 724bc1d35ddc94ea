"""DWI and ADC by the plain formulas, and whether an answer equals them.

Axis suffixes: X Y Z voxels (RAS+), N volumes. Nothing is read here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pirta.imaging.diffusion_pair import DiffusionPair

NEAR_B0 = 50.0
MAX_TRACE_B = 1050.0
SHELL_WIDTH = 100.0
WEAK_SHARE = 0.002
"""Of the brightest voxel: below, a logarithm is what its floor makes of it, and not compared."""

RELATIVE = 2e-3
"""Of the largest value compared: float32 logarithms, and whole numbers scaled."""


@dataclass(frozen=True)
class PlainPair:
    """What a plain reading found.

    Attributes:
        where_XYZ: voxels to compare; None compares all.
    """

    dwi_XYZ: NDArray[np.float64]
    adc_XYZ: NDArray[np.float64]
    affine: NDArray[np.float64]
    where_XYZ: NDArray[np.bool_] | None = None


def plain_fit(
    volumes_XYZN: NDArray[np.float64], b_values: Sequence[float], affine: NDArray[np.float64]
) -> PlainPair:
    """Return the geometric mean of the highest shell and numpy's own straight line through all."""
    b = np.asarray(b_values, dtype=np.float64)
    top = b[b <= MAX_TRACE_B].max()
    shell = (b <= top) & (b >= top - SHELL_WIDTH)
    where_XYZ = np.all(volumes_XYZN > WEAK_SHARE * volumes_XYZN.max(), axis=-1)
    logs_XYZN = np.log(np.where(where_XYZ[..., None], volumes_XYZN, 1.0))
    slopes, _ = np.polyfit(b, logs_XYZN.reshape(-1, b.size).T, 1)
    return PlainPair(
        dwi_XYZ=np.exp(logs_XYZN[..., shell].mean(axis=-1)),
        adc_XYZ=-1000 * slopes.reshape(where_XYZ.shape),
        affine=affine,
        where_XYZ=where_XYZ,
    )


def differences(pair: DiffusionPair, plain: PlainPair) -> list[str]:
    """Return in what an answer differs from a plain reading; empty where it does not."""
    found = []
    for name, ours, theirs_XYZ in (
        ("DWI", pair.dwi, plain.dwi_XYZ),
        ("ADC", pair.adc, plain.adc_XYZ),
    ):
        if ours.data_XYZ.shape != theirs_XYZ.shape:
            found.append(f"{name} shape {ours.data_XYZ.shape} against {theirs_XYZ.shape}")
            continue
        if not np.allclose(ours.affine, plain.affine, rtol=1e-4, atol=1e-2):
            found.append(f"{name} affine")
        where_XYZ = (
            np.ones(theirs_XYZ.shape, np.bool_) if plain.where_XYZ is None else (plain.where_XYZ)
        )
        first, second = ours.data_XYZ[where_XYZ], theirs_XYZ[where_XYZ]
        tolerance = 1e-6 + RELATIVE * float(np.abs(second).max(initial=0))
        worst = float(np.abs(first - second).max(initial=0))
        if not worst <= tolerance:
            found.append(f"{name} values, by up to {worst:.3g}")
    return found


def insane(pair: DiffusionPair) -> list[str]:
    """Return why an answer cannot be a volume, whatever its bytes were."""
    found = []
    for name, one in (("DWI", pair.dwi), ("ADC", pair.adc), ("b0", pair.b0)):
        if one is None:
            continue
        spacing_mm = np.array(one.spacing_mm)
        if one.data_XYZ.ndim != 3 or one.data_XYZ.dtype != np.float32:
            found.append(f"{name} is no 3D float32 array")
        elif not np.isfinite(one.data_XYZ).all():
            found.append(f"{name} is not finite")
        if not np.isfinite(one.affine).all() or spacing_mm.min() <= 0 or spacing_mm.max() > 100:
            found.append(f"{name} affine is none")
    if pair.b_value_s_mm2 is not None and not 0 <= pair.b_value_s_mm2 <= 1e5:
        found.append(f"the b value is {pair.b_value_s_mm2:g}")
    if pair.slice_thickness_mm is not None and not 0 < pair.slice_thickness_mm < 1000:
        found.append(f"the slice thickness is {pair.slice_thickness_mm:g}")
    if pair.dwi.data_XYZ.shape != pair.adc.data_XYZ.shape:
        found.append("DWI and ADC have other shapes")
    return found
