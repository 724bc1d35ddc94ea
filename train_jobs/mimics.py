"""What may be taken for an infarct and is none, put into training volumes of every class.

Phantoms are tidier than brains: healthy scans are bright at the skull base, along cortex and
tracts, dark where iron or air is near, and no two regions are quite alike. None of it restricts
diffusion: where the DWI is raised here, the ADC is not lowered, and where the ADC is lowered,
the DWI is not raised. Only an infarct has both.

Axis suffixes: X Y Z voxels (RAS+, 2x2x4 mm). ADC in 10⁻³ mm²/s, DWI in brain medians; both are
changed in place, background (0) stays 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pirta.cohort.smooth_field import smooth_field
from pirta.contracts.study import GRID_SPACING_MM

Map = NDArray[np.float32]


@dataclass(frozen=True)
class _Kind:
    """One kind of blob: ranges of its radius (mm) and of the factors on DWI and ADC."""

    radius_mm: tuple[float, float]
    dwi: tuple[float, float]
    adc: tuple[float, float]


_KINDS = (
    _Kind((3.0, 14.0), (1.15, 1.80), (1.00, 1.35)),  # T2 shines through: old and white matter
    _Kind((8.0, 26.0), (1.10, 1.70), (0.98, 1.06)),  # signal piles up next to air
    _Kind((4.0, 10.0), (0.50, 0.90), (0.70, 1.00)),  # iron and calcium
    _Kind((3.0, 8.0), (0.85, 1.02), (0.72, 0.95)),  # noise in the map alone
)
_MOST_BLOBS = 8
_TEXTURE_SCALE_MM = (8.0, 30.0)


def add_texture(rng: np.random.Generator, dwi: Map, adc: Map, *, strength: float) -> None:
    """Let tissue differ from region to region: DWI by at most `strength` (SD), ADC by half."""
    for values, most in ((dwi, strength), (adc, strength / 2)):
        field = smooth_field(
            rng,
            (dwi.shape[0], dwi.shape[1], dwi.shape[2]),
            spacing_mm=GRID_SPACING_MM,
            scale_mm=float(rng.uniform(*_TEXTURE_SCALE_MM)),
        )
        values *= 1 + np.float32(rng.uniform(0, most)) * np.clip(field, -2.5, 2.5)


def add_blobs(rng: np.random.Generator, dwi: Map, adc: Map) -> None:
    """Add one to eight soft-edged regions that are no infarct; the lower half gets more."""
    candidates = np.flatnonzero(dwi[::4, ::4, ::2] > 0)
    if candidates.size == 0:
        return
    shape = dwi[::4, ::4, ::2].shape
    for _ in range(int(rng.integers(1, _MOST_BLOBS + 1))):
        kind = _KINDS[int(rng.integers(len(_KINDS)))]
        picks = candidates[rng.integers(candidates.size, size=2)]
        places = np.stack(np.unravel_index(picks, shape), axis=1) * (4, 4, 2)
        place = places[int(np.argmin(places[:, 2]))]  # of two, the lower: most air is there
        _add_blob(rng, kind, place, dwi, adc)


def _add_blob(
    rng: np.random.Generator, kind: _Kind, place: NDArray[np.int_], dwi: Map, adc: Map
) -> None:
    radii_vox = rng.uniform(*kind.radius_mm, size=3) / np.asarray(GRID_SPACING_MM)
    low = np.maximum(0, np.floor(place - 2 * radii_vox)).astype(int)
    high = np.minimum(dwi.shape, np.ceil(place + 2 * radii_vox).astype(int) + 1)
    box = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    x, y, z = np.ogrid[box]
    away = (
        ((x - place[0]) / radii_vox[0]) ** 2
        + ((y - place[1]) / radii_vox[1]) ** 2
        + ((z - place[2]) / radii_vox[2]) ** 2
    )
    # From a flat disc with a steep border to a soft hill.
    share = np.exp(-(away ** rng.uniform(1.0, 3.0))).astype(np.float32)
    dwi[box] *= 1 + share * np.float32(rng.uniform(*kind.dwi) - 1)
    adc[box] *= 1 + share * np.float32(rng.uniform(*kind.adc) - 1)


def slab(rng: np.random.Generator, lesion_XYZ: NDArray[np.uint8]) -> tuple[int, int]:
    """Return the first and one past the last slice of a scan that stops short of the brain.

    A cut that would take more than a tenth of the lesion is not made: the answer would be wrong.
    """
    height = lesion_XYZ.shape[2]
    first = int(rng.uniform(0, 0.35) * height)
    last = height - int(rng.uniform(0, 0.2) * height)
    seen, whole = int(lesion_XYZ[:, :, first:last].sum()), int(lesion_XYZ.sum())
    return (first, last) if seen >= 0.9 * whole else (0, height)


def dropout_box(
    rng: np.random.Generator, lesion_XYZ: NDArray[np.uint8]
) -> tuple[slice, slice, slice] | None:
    """Return a box of 10 to 40 mm whose signal is lost, or None where it would hit the lesion."""
    sides = lesion_XYZ.shape
    sizes = [max(1, round(rng.uniform(10, 40) / step)) for step in GRID_SPACING_MM]
    starts = [int(rng.integers(side - size)) for side, size in zip(sides, sizes, strict=True)]
    x, y, z = (slice(at, at + size) for at, size in zip(starts, sizes, strict=True))
    return None if lesion_XYZ[x, y, z].any() else (x, y, z)
