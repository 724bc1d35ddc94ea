"""The territories of any brain: registered to MNI152, then asked what supplies each place there.

Axis suffixes: C channels (0 DWI, 1 ADC), X Y Z voxels (RAS+), 3 millimetres along x, y, z.
Codes: 0 none, 1 anterior, 2 deep gray, 3 posterior. ADC is in 10⁻³ mm²/s. The registration is
`imaging`'s, the template and the territories are `cohort`'s: this joins them. No Ray here.

The definition is a function of MNI millimetres, so each voxel of the study is asked by itself;
nothing is drawn on the template's grid and resampled. Fluid by its ADC has no territory, nor
has what lies outside the template's brain by more than a skull strip's error.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pirta.cohort.prepared_rows import Facts
from pirta.cohort.template import Template, load_template
from pirta.cohort.territories import territory_codes
from pirta.contracts.study import GRID_SHAPE, GRID_SPACING_MM
from pirta.errors import RegistrationError
from pirta.imaging.atlas_registration import (
    AtlasFit,
    AtlasImage,
    register_to_atlas,
    sample_atlas,
)
from pirta.imaging.resample import MIN_FRACTION, grid_affine, mask_fraction, resample_inside

FLUID_ADC = 1.8
"""From here on a voxel is mostly fluid: of 1.4 to 2.0 the best against phantoms' own maps."""

BEYOND_BRAIN_MM = 6.0
_MIDLINE = tuple(f"midline_{part}" for part in ("x", "y", "z", "offset_mm"))
_FLUID, _TISSUE = 2.95, 0.75  # of the synthetic ADC map; only their order matters


@dataclass(frozen=True)
class BrainTerritories:
    """The territory map of one study.

    Attributes:
        territory_XYZ: uint8 codes on the study's grid.
        x_mm_XYZ: distance from the midline, positive on the patient's right.
        fit: the registration that it rests on.
    """

    territory_XYZ: NDArray[np.uint8]
    x_mm_XYZ: NDArray[np.float32]
    fit: AtlasFit


def load_atlas(template: Template | None = None) -> AtlasImage:
    """Return MNI152 as an ADC map would show it; loading the template takes seconds."""
    template = template or load_template()
    fluid_XYZ = np.clip(1 - template.gm_XYZ - template.wm_XYZ, 0, 1)
    image_XYZ = (_TISSUE + (_FLUID - _TISSUE) * fluid_XYZ) * (template.brain_XYZ > 0)
    return AtlasImage(
        fluid_XYZ=image_XYZ.astype(np.float32),
        outside_mm_XYZ=template.outside_mm_XYZ,
        affine=template.affine,
    )


def prepared_affine() -> NDArray[np.float64]:
    """Return the prepared grid's affine with its middle at 0: where it lay is not needed."""
    affine = np.diag([*GRID_SPACING_MM, 1.0])
    affine[:3, 3] = -(np.array(GRID_SHAPE) - 1) / 2 * np.array(GRID_SPACING_MM)
    return affine


def prepared_territories(volume_CXYZ: NDArray[np.float32], atlas: AtlasImage) -> BrainTerritories:
    """Return the territories of a prepared volume, shape `(96, 112, 48)`.

    Raises:
        RegistrationError: the brain does not match the template.
    """
    adc_XYZ = np.asarray(volume_CXYZ[1], np.float32)
    brain_XYZ = (volume_CXYZ != 0).any(axis=0)
    affine = prepared_affine()
    fit = register_to_atlas(adc_XYZ, brain_XYZ, affine, atlas)
    return territories_on(adc_XYZ, brain_XYZ, affine, fit, atlas)


def native_territories(
    affine: NDArray[np.float64],
    adc_XYZ: NDArray[np.float32],
    brain_XYZ: NDArray[np.bool_],
    atlas: AtlasImage,
) -> BrainTerritories:
    """Return the territories of a scanner's own grid, which may be turned and of any spacing.

    Args:
        affine: voxel to world millimetres.
        adc_XYZ: in 10⁻³ mm²/s.
        brain_XYZ: as a stripper found it.

    Raises:
        RegistrationError: there is no brain, or it does not match the template.
    """
    if not brain_XYZ.any():
        raise RegistrationError("The study has no brain to register.", remedy="Strip it first.")
    target = grid_affine(brain_XYZ, affine)
    fraction_XYZ = mask_fraction(brain_XYZ, affine, target)
    grid_adc_XYZ = resample_inside(adc_XYZ, brain_XYZ, fraction_XYZ, affine, target)
    fit = register_to_atlas(grid_adc_XYZ, fraction_XYZ >= MIN_FRACTION, target, atlas)
    return territories_on(adc_XYZ, brain_XYZ, affine, fit, atlas)


def territories_on(
    adc_XYZ: NDArray[np.float32],
    brain_XYZ: NDArray[np.bool_],
    affine: NDArray[np.float64],
    fit: AtlasFit,
    atlas: AtlasImage,
) -> BrainTerritories:
    """Return the territories of a grid whose place in the atlas is known."""
    at_3XYZ = fit.positions_mm(adc_XYZ.shape, affine)
    inside_XYZ = brain_XYZ & (adc_XYZ < FLUID_ADC)
    inside_XYZ &= sample_atlas(atlas.outside_mm_XYZ, atlas, at_3XYZ) <= BEYOND_BRAIN_MM
    codes_XYZ = np.where(inside_XYZ, territory_codes(*at_3XYZ), 0).astype(np.uint8)
    return BrainTerritories(codes_XYZ, at_3XYZ[0], fit)


def midline_facts(fit: AtlasFit, affine: NDArray[np.float64]) -> Facts:
    """Return the midline as a row's facts: millimetres to it a voxel along x, y, z, and at voxel 0.

    A territory map does not tell it: the middle of a brain that lacks a part lies beside it.
    """
    plane = (fit.world_to_atlas @ affine)[0]
    return {name: round(float(part), 6) for name, part in zip(_MIDLINE, plane, strict=True)}


def midline_distance(facts: Facts) -> NDArray[np.float32] | None:
    """Return each prepared voxel's distance from the midline, positive on the right.

    Shape `(96, 112, 48)`; None where the facts do not tell it.
    """
    parts = [facts.get(name) for name in _MIDLINE]
    if not all(isinstance(part, int | float) for part in parts):
        return None
    x, y, z, offset_mm = (np.float32(part) for part in parts)
    index = np.ogrid[tuple(slice(side) for side in GRID_SHAPE)]
    i, j, k = (axis.astype(np.float32) for axis in index)
    return np.asarray(x * i + y * j + z * k + offset_mm, np.float32)
