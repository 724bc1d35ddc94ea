"""A healthy toy head, as hospitals send it (scalp, noisy air, b0) and stripped.

An ellipsoid brain of 132 x 168 x 128 mm in 2.5 x 2.5 x 4 mm voxels: tissue DWI 300 and ADC 0.8,
fluid in the middle and at the rim DWI 33 and ADC 3.0 (10⁻³ mm²/s, b 1000), Rician noise of sigma
10. Axis suffixes: X Y Z voxels (RAS+).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pytest
from numpy.typing import NDArray

from pirta.contracts.quality import GateResult
from pirta.imaging.diffusion_pair import DiffusionPair
from pirta.imaging.quality.judge import judge
from pirta.imaging.resample import grid_affine
from pirta.imaging.volume import Volume
from pirta.settings import DEFAULT_QUALITY, QualitySettings

SHAPE = (88, 100, 40)
SPACING_MM = (2.5, 2.5, 4.0)
SIGMA = 10.0


@dataclass(frozen=True)
class Head:
    """A pair, the brain in it, and its images without noise."""

    pair: DiffusionPair
    brain_XYZ: NDArray[np.bool_]
    clean_XYZ: NDArray[np.float32]

    def with_dwi(self, data_XYZ: NDArray[np.generic]) -> Head:
        """Return the head with other voxels in its DWI."""
        dwi = replace(self.pair.dwi, data_XYZ=np.asarray(data_XYZ, np.float32))
        return replace(self, pair=replace(self.pair, dwi=dwi))

    def with_adc(self, data_XYZ: NDArray[np.generic]) -> Head:
        """Return the head with other voxels in its ADC map."""
        adc = replace(self.pair.adc, data_XYZ=np.asarray(data_XYZ, np.float32))
        return replace(self, pair=replace(self.pair, adc=adc))

    def with_slices(self, first: int, last: int) -> Head:
        """Return the head cut to some of its slices."""
        dwi, adc, b0 = (
            None if one is None else replace(one, data_XYZ=one.data_XYZ[:, :, first:last])
            for one in (self.pair.dwi, self.pair.adc, self.pair.b0)
        )
        assert dwi is not None
        assert adc is not None
        pair = replace(self.pair, dwi=dwi, adc=adc, b0=b0)
        return Head(pair, self.brain_XYZ[:, :, first:last], self.clean_XYZ[:, :, first:last])

    def with_spacing(self, spacing_mm: tuple[float, float, float]) -> Head:
        """Return the head stretched to other voxel sides."""
        affine = np.diag([*spacing_mm, 1.0])
        dwi, adc = (replace(one, affine=affine) for one in (self.pair.dwi, self.pair.adc))
        return replace(self, pair=replace(self.pair, dwi=dwi, adc=adc, b0=None))


def rician(clean_XYZ: NDArray[np.float32], sigma: float, seed: int = 0) -> NDArray[np.float32]:
    """Return the magnitude of a signal with complex noise."""
    real, imaginary = np.random.default_rng(seed).normal(0, sigma, (2, *clean_XYZ.shape))
    return np.hypot(clean_XYZ + real, imaginary).astype(np.float32)


@pytest.fixture(scope="session")
def head() -> Head:
    """The head with its scalp, in noisy air."""
    affine = np.diag([*SPACING_MM, 1.0])
    grids = np.meshgrid(*(np.arange(side) for side in SHAPE), indexing="ij")
    x, y, z = (
        step * (grid - (side - 1) / 2)
        for grid, side, step in zip(grids, SHAPE, SPACING_MM, strict=True)
    )
    brain_XYZ = (x / 66) ** 2 + (y / 84) ** 2 + (z / 64) ** 2 < 1
    skull_XYZ = (x / 74) ** 2 + (y / 92) ** 2 + (z / 72) ** 2 < 1
    scalp_XYZ = (x / 82) ** 2 + (y / 100) ** 2 + (z / 80) ** 2 < 1
    fluid_XYZ = ((np.abs(x) - 16) / 9) ** 2 + (y / 40) ** 2 + (z / 24) ** 2 < 1
    adc_XYZ = np.where(fluid_XYZ, 3.0, 0.8)
    b0_XYZ = np.select([fluid_XYZ, brain_XYZ, skull_XYZ, scalp_XYZ], [663, 668, 20, 120], 0)
    dwi_XYZ = np.where(brain_XYZ, b0_XYZ * np.exp(-adc_XYZ), b0_XYZ * 0.4).astype(np.float32)
    noise_XYZ = np.random.default_rng(3).normal(0, 0.05, SHAPE)
    provenance = {"orientation": "sform"}
    pair = DiffusionPair(
        dwi=Volume(rician(dwi_XYZ, SIGMA), affine, provenance),
        adc=Volume(((adc_XYZ + noise_XYZ) * brain_XYZ).astype(np.float32), affine, provenance),
        b0=Volume(rician(b0_XYZ.astype(np.float32), SIGMA, seed=1), affine, provenance),
        b_value_s_mm2=1000.0,
        slice_thickness_mm=4.0,
    )
    return Head(pair, brain_XYZ, dwi_XYZ)


@pytest.fixture(scope="session")
def stripped(head: Head) -> Head:
    """The same head, stripped: nothing but brain, and no b0."""
    data_XYZ = np.where(head.brain_XYZ, head.pair.dwi.data_XYZ, 0)
    return replace(head, pair=replace(head.pair, b0=None)).with_dwi(data_XYZ)


Judged = Callable[..., dict[str, GateResult]]


@pytest.fixture(scope="session")
def judged() -> Judged:
    """The judge's results by gate."""

    def run(head: Head, settings: QualitySettings = DEFAULT_QUALITY) -> dict[str, GateResult]:
        inside = head.pair.adc.data_XYZ[head.brain_XYZ]
        results = judge(
            head.pair,
            head.brain_XYZ,
            adc_factor=1.0,
            adc_median=float(np.median(inside[inside > 0])),
            grid=grid_affine(head.brain_XYZ, head.pair.dwi.affine),
            settings=settings,
        )
        return {one.gate: one for one in results}

    return run


@pytest.fixture(scope="session")
def noisy() -> Callable[..., NDArray[np.float32]]:
    """The function `rician`: tests cannot import from a conftest."""
    return rician
