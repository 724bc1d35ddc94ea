"""A brain made of the template: where each of its voxels lies in MNI152 is known exactly.

Axis suffixes: C channels (0 DWI, 1 ADC), X Y Z voxels, 3 millimetres along x, y, z (MNI152). ADC
is in 10⁻³ mm²/s, the DWI that of b 1000 with tissue at about 1; both are 0 outside the brain.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pirta.imaging.atlas_registration import AtlasFit, AtlasImage, sample_atlas


@dataclass(frozen=True)
class MadeBrain:
    """The brain, and its place in the atlas."""

    volume_CXYZ: NDArray[np.float32]
    brain_XYZ: NDArray[np.bool_]
    at_3XYZ: NDArray[np.float32]
    fit: AtlasFit


def made_brain(
    atlas: AtlasImage,
    shape: tuple[int, int, int],
    affine: NDArray[np.float64],
    *,
    world_to_atlas: NDArray[np.float64] | None = None,
    right_front_is_lacking: bool = False,
) -> MadeBrain:
    """Return the template's brain on another grid.

    Args:
        right_front_is_lacking: a third of the right hemisphere is not there, as after a resection:
            the brain's middle then lies well to the left of the midline.
    """
    fit = AtlasFit(np.eye(4) if world_to_atlas is None else world_to_atlas, 0.5, 1.0, 1.0)
    at_3XYZ = fit.positions_mm(shape, affine)
    brain_XYZ = sample_atlas(atlas.outside_mm_XYZ, atlas, at_3XYZ) == 0
    if right_front_is_lacking:
        brain_XYZ &= ~((at_3XYZ[0] > 14) & (at_3XYZ[1] > -14))
    noise_XYZ = np.random.default_rng(4).normal(0, 0.03, shape).astype(np.float32)
    adc_XYZ = sample_atlas(atlas.fluid_XYZ, atlas, at_3XYZ) + noise_XYZ
    adc_XYZ = np.where(brain_XYZ, np.maximum(adc_XYZ, 0.3), 0)
    dwi_XYZ = np.where(brain_XYZ, np.exp(np.float32(0.8) - adc_XYZ), 0)
    volume_CXYZ = np.stack([dwi_XYZ, adc_XYZ]).astype(np.float32)
    return MadeBrain(volume_CXYZ, brain_XYZ, at_3XYZ, fit)
