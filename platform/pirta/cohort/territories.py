"""The project's own arterial territories, as simple bodies in MNI152 millimetres.

Axis suffixes: X Y Z voxels of the template grid (RAS+). Codes: 0 none, 1 anterior circulation,
2 deep gray matter, 3 posterior circulation. Both sides are mirror images, so everything is
written in |x|. The bodies follow textbook anatomy in round numbers; no atlas data went in, but
the numbers were settled while watching the agreement with a published atlas, which a test
measures where that is at hand. People differ by centimetres at the borders, and so may any such
map; the deep gray class is the paper's, which no vessel supplies alone.

- Deep gray: caudate, lentiform nucleus, internal capsule and thalamus, as three ellipsoids.
- Posterior: below the tentorium all of it (cerebellum, brainstem); above it the occipital
  lobe's medial part, the medial parietal lobe behind the parieto-occipital sulcus, and the
  inferior and medial temporal lobe behind the uncus.
- Anterior: the rest of the brain, that of the anterior and middle cerebral arteries.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pirta.cohort.template import Template, load_template

ANTERIOR, DEEP_GRAY, POSTERIOR = 1, 2, 3
LEAST_TISSUE = 0.5  # share of gray and white matter below which a voxel has no territory

# Ellipsoids of deep gray: centre (|x|, y, z), half axes, in mm.
_LENTIFORM_AND_CAPSULE = ((21.0, -3.0, 5.0), (14.5, 28.0, 21.0))
_THALAMUS = ((12.0, -19.0, 4.0), (14.0, 15.0, 15.0))
_CAUDATE = ((12.0, 8.0, 12.0), (10.0, 24.0, 20.0))

# Borders of the posterior circulation, as (z, value) knots; straight lines between them.
_Z_MM = (-80.0, -36.0, -24.0, -14.0, -4.0, 6.0, 16.0, 28.0, 40.0, 54.0)
_BEHIND_Y_MM = (-8.0, -10.0, -14.0, -22.0, -30.0, -36.0, -46.0, -56.0, -62.0, -70.0)
_WITHIN_X_MM = (60.0, 60.0, 48.0, 44.0, 41.0, 34.0, 28.0, 23.0, 17.0, 10.0)
_TOP_Z_MM = 56.0
# Below this height, in front of the cerebellum, only the brainstem is posterior.
_TEMPORAL_POLE_Z_MM, _CEREBELLUM_FRONT_Y_MM, _BRAINSTEM_X_MM = -28.0, -32.0, 22.0
# Toward the occipital pole the border with the middle cerebral artery moves outward.
_OCCIPITAL_Y_MM, _OCCIPITAL_WIDENING = -70.0, 0.35


def territory_codes(
    x_mm: NDArray[np.floating], y_mm: NDArray[np.floating], z_mm: NDArray[np.floating]
) -> NDArray[np.uint8]:
    """Return the code at each MNI point as if all of it were brain; the arrays broadcast."""
    from_midline = np.abs(x_mm)
    codes = np.where(_is_posterior(from_midline, y_mm, z_mm), POSTERIOR, ANTERIOR)
    deep = np.zeros(codes.shape, bool)
    for centre, half_axes in (_LENTIFORM_AND_CAPSULE, _THALAMUS, _CAUDATE):
        parts = zip((from_midline, y_mm, z_mm), centre, half_axes, strict=True)
        deep |= sum(((at - middle) / half) ** 2 for at, middle, half in parts) <= 1
    return np.where(deep, DEEP_GRAY, codes).astype(np.uint8)


def _is_posterior(
    from_midline: NDArray[np.floating], y_mm: NDArray[np.floating], z_mm: NDArray[np.floating]
) -> NDArray[np.bool_]:
    behind = y_mm < np.interp(z_mm, _Z_MM, _BEHIND_Y_MM)
    widening = _OCCIPITAL_WIDENING * np.maximum(_OCCIPITAL_Y_MM - y_mm, 0)
    within = from_midline < np.interp(z_mm, _Z_MM, _WITHIN_X_MM) + widening
    temporal = (
        (z_mm < _TEMPORAL_POLE_Z_MM)
        & (y_mm > _CEREBELLUM_FRONT_Y_MM)
        & (from_midline > _BRAINSTEM_X_MM)
    )
    return np.asarray(behind & within & ~temporal & (z_mm < _TOP_Z_MM))


def territory_map_mni(template: Template | None = None) -> NDArray[np.uint8]:
    """Return the codes on the template's grid, shape `(X, Y, Z)`; 0 where there is no tissue."""
    template = template or load_template()
    codes = territory_codes(*template.axes_mm())
    codes[template.gm_XYZ + template.wm_XYZ < LEAST_TISSUE] = 0
    return codes
