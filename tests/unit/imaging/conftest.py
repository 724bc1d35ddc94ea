"""A small stripped brain whose answer is known, as volumes and as NIfTI bytes.

An ellipsoid of about 1.2 l with two ventricles: tissue has DWI 300 and ADC 0.8, fluid DWI 70
and ADC 3.0 (10⁻³ mm²/s); the background is exactly 0. Axis suffixes: X Y Z voxels (RAS+).
"""

from __future__ import annotations

import gzip
from collections.abc import Callable
from dataclasses import dataclass

import nibabel as nib
import numpy as np
import pytest
from numpy.typing import NDArray

from pirta.imaging.volume import Volume

SHAPE = (48, 56, 40)
SPACING_MM = (4.0, 4.0, 4.0)


@dataclass(frozen=True)
class Brain:
    """The toy brain and what is true of it."""

    dwi: Volume
    adc: Volume
    mask_XYZ: NDArray[np.bool_]
    fluid_XYZ: NDArray[np.bool_]


@pytest.fixture(scope="session")
def brain() -> Brain:
    """A stripped toy brain, ADC in 10⁻³ mm²/s, with a little noise so that nothing is flat."""
    rng = np.random.default_rng(7)
    affine = np.diag([*SPACING_MM, 1.0])
    affine[:3, 3] = [-94.0, -110.0, -78.0]
    x, y, z = np.meshgrid(*(np.arange(side) for side in SHAPE), indexing="ij")
    x_mm, y_mm, z_mm = (
        4.0 * (grid - (side - 1) / 2) for grid, side in zip((x, y, z), SHAPE, strict=True)
    )
    mask_XYZ = (x_mm / 66) ** 2 + (y_mm / 84) ** 2 + (z_mm / 54) ** 2 < 1
    fluid_XYZ = ((np.abs(x_mm) - 16) / 10) ** 2 + (y_mm / 40) ** 2 + (z_mm / 24) ** 2 < 1
    rim_XYZ = (x_mm / 62) ** 2 + (y_mm / 80) ** 2 + (z_mm / 50) ** 2 > 1
    fluid_XYZ |= rim_XYZ & (rng.random(SHAPE) < 0.5)
    fluid_XYZ &= mask_XYZ
    dwi_XYZ = np.where(fluid_XYZ, 70.0, 300.0) + rng.normal(0, 10, SHAPE)
    adc_XYZ = np.where(fluid_XYZ, 3.0, 0.8) + rng.normal(0, 0.05, SHAPE)
    return Brain(
        dwi=Volume(np.where(mask_XYZ, dwi_XYZ, 0).astype(np.float32), affine),
        adc=Volume(np.where(mask_XYZ, adc_XYZ, 0).astype(np.float32), affine),
        mask_XYZ=mask_XYZ,
        fluid_XYZ=fluid_XYZ,
    )


def to_bytes(
    data: NDArray[np.generic], affine: NDArray[np.float64] | None = None, *, packed: bool = True
) -> bytes:
    """Return an array as the bytes of a .nii.gz (or .nii)."""
    image = nib.Nifti1Image(data, np.diag([2.0, 2, 2, 1]) if affine is None else affine)
    raw: bytes = image.to_bytes()
    return gzip.compress(raw, 1) if packed else raw


@pytest.fixture(scope="session")
def pair(brain: Brain) -> tuple[bytes, bytes]:
    """The toy brain's DWI and ADC as .nii.gz bytes."""
    return (
        to_bytes(brain.dwi.data_XYZ, brain.dwi.affine),
        to_bytes(brain.adc.data_XYZ, brain.adc.affine),
    )


@pytest.fixture(scope="session")
def nifti() -> Callable[..., bytes]:
    """The function `to_bytes`: tests cannot import from a conftest."""
    return to_bytes


SMALL = (8, 9, 6)


@dataclass(frozen=True)
class Phantom:
    """b0, three weighted directions, their trace and ADC (10⁻³ mm²/s), as stored arrays."""

    b0: NDArray[np.float32]
    directions: list[NDArray[np.float32]]
    dwi: NDArray[np.float32]
    adc: NDArray[np.float32]
    series: NDArray[np.float32]


@pytest.fixture(scope="session")
def phantom() -> Phantom:
    """A small diffusion study of known decay."""
    rng = np.random.default_rng(2)
    b0 = rng.uniform(400, 900, SMALL).astype(np.float32)
    adcs = [rng.uniform(0.6, 1.2, SMALL).astype(np.float32) for _ in range(3)]
    weighted = [b0 * np.exp(-adc) for adc in adcs]
    dwi = b0 * np.exp(-np.mean(adcs, axis=0))
    return Phantom(b0, weighted, dwi, np.mean(adcs, axis=0), np.stack([b0, *weighted], axis=-1))
