"""What the tissues of a head answer to a diffusion sequence: b0 signal and ADC, voxel by voxel.

Axis suffixes: X Y Z voxels of an `Anatomy`. b0 is on a scale where proton density is 1; ADC is
in 10⁻³ mm²/s. Values are those of textbooks at 3 T; each head varies a little, by region and
as a whole. Normal variants that may be taken for an infarct are put in here: white matter
hyperintensities and old cavities (bright or dark, always with a raised ADC). Acute lesions,
coil and noise come later.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from pirta.cohort.anatomy import Anatomy
from pirta.cohort.smooth_field import smooth_field
from pirta.cohort.template import SPACING_MM


@dataclass(frozen=True)
class Substance:
    """A tissue: proton density (0 to 1), T2 in ms, ADC in 10⁻³ mm²/s."""

    density: float
    t2_ms: float
    adc: float

    def b0(self, te_ms: float) -> float:
        """Return the signal without diffusion weighting at an echo time."""
        return self.density * float(np.exp(-te_ms / self.t2_ms))


GRAY_MATTER = Substance(0.82, 92.0, 0.83)
WHITE_MATTER = Substance(0.72, 79.0, 0.74)
FLUID = Substance(1.00, 900.0, 3.00)
# In the order of `Anatomy.head_XYZ`: air, fluid, bone, fat (suppressed), scalp, muscle, eye.
HEAD = (
    Substance(0.0, 1.0, 1.0),
    FLUID,
    Substance(0.015, 30.0, 0.8),
    Substance(0.03, 60.0, 0.4),
    Substance(0.16, 50.0, 1.1),
    Substance(0.45, 33.0, 1.5),
    Substance(0.95, 500.0, 2.6),
)
_PALLIDUM_MNI_MM, _PALLIDUM_RADIUS_MM, _IRON_LOSS = (19.0, -5.0, 0.0), 7.0, 0.22
_WOBBLE_STD = 0.015  # of gray and white matter's b0 and ADC from head to head, as a share
_HYPERINTENSITY_RATE, _CAVITY_RATE = 0.45, 0.15


@dataclass(frozen=True)
class TissueMaps:
    """b0 signal and ADC of the brain's tissue, and the signal of everything else.

    Attributes:
        share_XYZ: share of tissue (gray and white) in each voxel.
        b0_XYZ, adc_XYZ: of that tissue alone.
        rest_b0_XYZ, rest_adc_XYZ: of fluid and head, the share already in the b0.
    """

    share_XYZ: NDArray[np.float32]
    b0_XYZ: NDArray[np.float32]
    adc_XYZ: NDArray[np.float32]
    rest_b0_XYZ: NDArray[np.float32]
    rest_adc_XYZ: NDArray[np.float32]


def make_tissue(
    rng: np.random.Generator, anatomy: Anatomy, *, te_ms: float, with_head: bool
) -> TissueMaps:
    """Return the maps at an echo time; without the head, only the brain has signal."""
    share = anatomy.gm_XYZ + anatomy.wm_XYZ
    gray = anatomy.gm_XYZ / np.maximum(share, np.float32(1e-3))
    wobble = rng.normal(1.0, _WOBBLE_STD, size=4).astype(np.float32)
    b0 = gray * np.float32(GRAY_MATTER.b0(te_ms)) * wobble[0]
    b0 += (1 - gray) * np.float32(WHITE_MATTER.b0(te_ms)) * wobble[1]
    adc = gray * np.float32(GRAY_MATTER.adc) * wobble[2]
    adc += (1 - gray) * np.float32(WHITE_MATTER.adc) * wobble[3]
    b0 *= 1 + np.float32(0.035) * _field(rng, anatomy, 24.0)
    adc *= 1 + np.float32(0.03) * _field(rng, anatomy, 18.0)
    b0 *= 1 - np.float32(_IRON_LOSS * rng.uniform(0.6, 1.4)) * _pallidum(anatomy)
    if rng.random() < _HYPERINTENSITY_RATE:
        _add_hyperintensities(rng, anatomy, b0, adc)
    if rng.random() < _CAVITY_RATE:
        _add_cavity(rng, anatomy, b0, adc)
    rest_b0 = anatomy.csf_XYZ * np.float32(FLUID.b0(te_ms))
    rest_adc = np.full(share.shape, FLUID.adc, np.float32)
    if with_head:
        outside = anatomy.head_XYZ > 0
        layer = anatomy.head_XYZ[outside]
        rest_b0[outside] = np.array([s.b0(te_ms) for s in HEAD], np.float32)[layer]
        rest_adc[outside] = np.array([s.adc for s in HEAD], np.float32)[layer]
        mottle = 1 + np.float32(0.25) * _field(rng, anatomy, 8.0)[outside]
        rest_b0[outside] *= np.clip(mottle, 0.2, 2)
    return TissueMaps(share, b0, adc, rest_b0, rest_adc)


def _field(rng: np.random.Generator, anatomy: Anatomy, scale_mm: float) -> NDArray[np.float32]:
    x, y, z = anatomy.gm_XYZ.shape
    return smooth_field(rng, (x, y, z), spacing_mm=(SPACING_MM,) * 3, scale_mm=scale_mm)


def _pallidum(anatomy: Anatomy) -> NDArray[np.float32]:
    """Iron darkens the pallidum; a soft ball on either side."""
    x, y, z = anatomy.mni_3XYZ
    centre = _PALLIDUM_MNI_MM
    square = (np.abs(x) - centre[0]) ** 2 + (y - centre[1]) ** 2 + (z - centre[2]) ** 2
    width = np.float32(2 * (0.7 * _PALLIDUM_RADIUS_MM) ** 2)
    return np.asarray(np.exp(-square / width), np.float32)


def _add_hyperintensities(
    rng: np.random.Generator,
    anatomy: Anatomy,
    b0: NDArray[np.float32],
    adc: NDArray[np.float32],
) -> None:
    """Small vessel disease: patches of white matter near the ventricles, T2 and ADC raised."""
    x, y, z = anatomy.mni_3XYZ
    square = (x / 38) ** 2 + ((y + 18) / 62) ** 2 + ((z - 20) / 28) ** 2
    extent = np.float32(rng.uniform(0.9, 1.9))
    patches = _field(rng, anatomy, 9.0) - extent
    amount = np.clip(patches * 2, 0, 1) * (anatomy.wm_XYZ > 0.5) * (square < 1)
    amount = ndimage.gaussian_filter(amount, 0.7).astype(np.float32)
    b0 *= 1 + amount * np.float32(rng.uniform(0.25, 0.5))
    adc *= 1 + amount * np.float32(rng.uniform(0.3, 0.6))


def _add_cavity(
    rng: np.random.Generator,
    anatomy: Anatomy,
    b0: NDArray[np.float32],
    adc: NDArray[np.float32],
) -> None:
    """An old infarct: a hole with nearly free water, dark on DWI, white on the ADC map."""
    inside = np.flatnonzero(anatomy.territory_XYZ > 0)
    centre = np.unravel_index(inside[int(rng.integers(len(inside)))], b0.shape)
    radius_mm = float(rng.uniform(2.5, 9.0))
    reach = int(np.ceil(radius_mm * 1.6 / SPACING_MM))
    box = tuple(slice(max(0, int(c) - reach), int(c) + reach + 1) for c in centre)
    steps = np.ogrid[box]
    square = sum((step - int(c)) ** 2 for step, c in zip(steps, centre, strict=True))
    distance_mm = np.sqrt(square) * SPACING_MM / rng.uniform(0.8, 1.2)
    amount = np.clip((radius_mm - distance_mm) / 3.0 + 0.5, 0, 1).astype(np.float32)
    b0[box] *= 1 + amount * np.float32(rng.uniform(0.5, 1.2))
    adc[box] += amount * np.float32(rng.uniform(0.7, 1.5))
