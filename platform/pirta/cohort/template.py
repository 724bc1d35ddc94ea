"""The MNI152 template that phantoms are made from: tissue maps, T1 and distance to the brain.

Axis suffixes: X Y Z voxels (RAS+, 2 mm, MNI152 world). The maps come in nilearn's own package,
nothing is fetched. Loading takes a few seconds: load once a process and pass it on.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

SPACING_MM = 2.0
_HULL_CLOSING_VOX = 5  # the dura spans the fissures, which are narrower than this


@dataclass(frozen=True)
class Template:
    """An average brain.

    Attributes:
        gm_XYZ, wm_XYZ: share of gray and white matter, 0 to 1.
        t1_XYZ: T1 intensity, about 0.3 in CSF to 0.85 in white matter.
        brain_XYZ: 1 in the brain (ventricles too), 0 outside.
        outside_mm_XYZ: distance to the brain's hull, 0 inside.
        affine: voxel to MNI millimetres.
    """

    gm_XYZ: NDArray[np.float32]
    wm_XYZ: NDArray[np.float32]
    t1_XYZ: NDArray[np.float32]
    brain_XYZ: NDArray[np.float32]
    outside_mm_XYZ: NDArray[np.float32]
    affine: NDArray[np.float64]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels along X, Y and Z."""
        x, y, z = self.gm_XYZ.shape
        return x, y, z

    def axes_mm(self) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        """Return the voxels' MNI coordinates as three arrays that broadcast to `shape`."""
        x, y, z = (
            (np.arange(size) * SPACING_MM + self.affine[axis, 3]).astype(np.float32)
            for axis, size in enumerate(self.shape)
        )
        return x[:, None, None], y[None, :, None], z[None, None, :]


def load_template() -> Template:
    """Return the template at 2 mm."""
    from nilearn import datasets  # a heavy import: only who makes phantoms pays for it

    gm = datasets.load_mni152_gm_template(resolution=1)
    wm = datasets.load_mni152_wm_template(resolution=1)
    t1 = datasets.load_mni152_template(resolution=1)
    affine = np.asarray(gm.affine, np.float64) @ np.diag([SPACING_MM] * 3 + [1.0])
    # Every second voxel, not a mean of eight: the average brain is smooth enough as it is.
    gm_XYZ, wm_XYZ, t1_XYZ = (
        np.asarray(image.dataobj, np.float32)[::2, ::2, ::2] for image in (gm, wm, t1)
    )
    brain = _largest_part(ndimage.binary_fill_holes(t1_XYZ > 0))
    hull = ndimage.binary_closing(np.pad(brain, _HULL_CLOSING_VOX), iterations=_HULL_CLOSING_VOX)
    inner = (slice(_HULL_CLOSING_VOX, -_HULL_CLOSING_VOX),) * 3
    outside = ndimage.distance_transform_edt(~hull[inner])
    return Template(
        gm_XYZ=np.clip(gm_XYZ, 0, 1),
        wm_XYZ=np.clip(wm_XYZ, 0, 1),
        t1_XYZ=np.ascontiguousarray(t1_XYZ),
        brain_XYZ=brain.astype(np.float32),
        outside_mm_XYZ=(outside * SPACING_MM).astype(np.float32),
        affine=affine,
    )


def _largest_part(inside_XYZ: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The largest connected part after an opening: the template has crumbs below the brow."""
    labels_XYZ, _ = ndimage.label(ndimage.binary_opening(inside_XYZ))
    sizes = np.bincount(labels_XYZ.ravel())
    sizes[0] = 0
    return np.asarray(labels_XYZ == sizes.argmax())
