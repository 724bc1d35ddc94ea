"""One person's head: the template deformed at random, as tissue shares on a 2 mm grid.

Axis suffixes: X Y Z voxels (RAS+, 2 mm, close to MNI152). Each head has its own size and
shape, sulcal width and ventricles; the head outside the brain (cerebrospinal fluid, bone, fat
and scalp, muscle, eyes) follows from the distance to it. Signals are `tissue`'s matter.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from pirta.cohort.smooth_field import smooth_field
from pirta.cohort.template import SPACING_MM, Template
from pirta.cohort.territories import LEAST_TISSUE, territory_codes

_SCALE_STD, _SCALE_LIMIT = 0.035, 0.08
_BENDS = ((45.0, 3.0), (22.0, 1.2))  # knots' distance and standard deviation, in mm
_VENTRICLES_MNI_MM, _VENTRICLES_REACH_MM = (0.0, -14.0, 14.0), 26.0
# T1 below which a voxel counts as sulcal fluid; the average brain's own sulci are blurred.
_SULCUS_T1, _SULCUS_RAMP = 0.53, 0.15
_EYES_MNI_MM, _EYE_RADIUS_MM = ((34.0, 60.0, -38.0), (-34.0, 60.0, -38.0)), 11.5
# Layers outside the brain's hull, by their outer border in mm.
_FLUID_MM, _BONE_MM, _FAT_MM, _SCALP_MM = 1.5, 8.0, 10.5, 14.0
_FACE_MNI_MM, _FACE_HALF_AXES_MM = (0.0, 22.0, -66.0), (66.0, 66.0, 52.0)


@dataclass(frozen=True)
class Anatomy:
    """A head without signals.

    Attributes:
        gm_XYZ, wm_XYZ, csf_XYZ: shares inside the brain, which add to 1 there.
        brain_XYZ: 1 in the brain, its fluid included.
        head_XYZ: layers outside it: 0 air, 1 fluid, 2 bone, 3 fat, 4 scalp, 5 muscle, 6 eye.
        territory_XYZ: 0 none, 1 anterior, 2 deep gray, 3 posterior.
        mni_3XYZ: where in the template each voxel came from, in mm; x is 0 on the midline.
        affine: voxel to millimetres.
    """

    gm_XYZ: NDArray[np.float32]
    wm_XYZ: NDArray[np.float32]
    csf_XYZ: NDArray[np.float32]
    brain_XYZ: NDArray[np.float32]
    head_XYZ: NDArray[np.uint8]
    territory_XYZ: NDArray[np.uint8]
    mni_3XYZ: NDArray[np.float32]
    affine: NDArray[np.float64]


def make_anatomy(rng: np.random.Generator, template: Template) -> Anatomy:
    """Return a new head, on the template's grid."""
    mni_3XYZ = _deformation(rng, template)
    origin_mm = template.affine[:3, 3, None, None, None].astype(np.float32)
    index_3XYZ = (mni_3XYZ - origin_mm) / np.float32(SPACING_MM)
    gm, wm, t1, brain, outside_mm = (
        _sample(values, index_3XYZ)
        for values in (
            template.gm_XYZ,
            template.wm_XYZ,
            template.t1_XYZ,
            template.brain_XYZ,
            template.outside_mm_XYZ,
        )
    )
    brain = (brain > 0.5).astype(np.float32)
    csf = _fluid(rng, gm, wm, t1) * brain
    tissue = (brain - csf) / np.maximum(gm + wm, 1e-3)
    gm, wm = gm * tissue, wm * tissue
    csf = np.maximum(brain - gm - wm, 0)
    territory = territory_codes(*mni_3XYZ)
    territory[gm + wm < LEAST_TISSUE] = 0
    return Anatomy(
        gm_XYZ=gm,
        wm_XYZ=wm,
        csf_XYZ=csf,
        brain_XYZ=brain,
        head_XYZ=_head(brain, outside_mm, mni_3XYZ),
        territory_XYZ=territory,
        mni_3XYZ=mni_3XYZ,
        affine=template.affine.copy(),
    )


def _deformation(rng: np.random.Generator, template: Template) -> NDArray[np.float32]:
    """Template position of each voxel: size, bends, and wider or narrower ventricles."""
    mni_3XYZ = np.stack(np.broadcast_arrays(*template.axes_mm())).astype(np.float32)
    common = rng.normal(0, _SCALE_STD)
    spacing_mm = (SPACING_MM,) * 3
    for axis in range(3):
        scale = 1 + np.clip(common + rng.normal(0, 0.02), -_SCALE_LIMIT, _SCALE_LIMIT)
        mni_3XYZ[axis] /= np.float32(scale)
        for knots_mm, std_mm in _BENDS:
            bend = smooth_field(rng, template.shape, spacing_mm=spacing_mm, scale_mm=knots_mm)
            mni_3XYZ[axis] += np.float32(std_mm) * bend
    away = mni_3XYZ - np.asarray(_VENTRICLES_MNI_MM, np.float32)[:, None, None, None]
    widening = np.float32(np.clip(abs(rng.normal(0, 0.16)), 0, 0.38))
    near = np.exp(-(away**2).sum(axis=0) / np.float32(2 * _VENTRICLES_REACH_MM**2))
    return np.asarray(mni_3XYZ - away * (widening * near), np.float32)


def _fluid(
    rng: np.random.Generator,
    gm: NDArray[np.float32],
    wm: NDArray[np.float32],
    t1: NDArray[np.float32],
) -> NDArray[np.float32]:
    """Share of fluid: what is no tissue, and sulci of this person's own width."""
    x, y, z = gm.shape
    wander = smooth_field(rng, (x, y, z), spacing_mm=(SPACING_MM,) * 3, scale_mm=9.0)
    width = np.float32(rng.normal(0, 0.025))
    threshold = np.float32(_SULCUS_T1) + width + np.float32(0.045) * wander
    sulci = np.clip((threshold - t1) / np.float32(_SULCUS_RAMP) + np.float32(0.5), 0, 1)
    return np.asarray(np.maximum(sulci * (wm < 0.3), np.clip(1 - gm - wm, 0, 1)), np.float32)


def _head(
    brain: NDArray[np.float32], outside_mm: NDArray[np.float32], mni_3XYZ: NDArray[np.float32]
) -> NDArray[np.uint8]:
    layer = np.digitize(outside_mm, (_FLUID_MM, _BONE_MM, _FAT_MM, _SCALP_MM)).astype(np.uint8)
    head = np.array([1, 2, 3, 4, 0], np.uint8)[layer]
    x, y, z = mni_3XYZ
    parts = zip((x, y, z), _FACE_MNI_MM, _FACE_HALF_AXES_MM, strict=True)
    face = sum(((at - np.float32(mid)) / np.float32(half)) ** 2 for at, mid, half in parts)
    head[(face < 1) & (outside_mm >= _FAT_MM)] = 4
    head[(face < 0.87) & (outside_mm >= _BONE_MM)] = 5
    for eye_mm in _EYES_MNI_MM:
        square = sum((at - np.float32(mid)) ** 2 for at, mid in zip((x, y, z), eye_mm, strict=True))
        head[(square < _EYE_RADIUS_MM**2) & (outside_mm > _FLUID_MM)] = 6
    head[brain > 0] = 0
    return head


def _sample(values: NDArray[np.float32], index_3XYZ: NDArray[np.float32]) -> NDArray[np.float32]:
    sampled = ndimage.map_coordinates(values, index_3XYZ, order=1, mode="nearest")
    return np.asarray(sampled, np.float32)
