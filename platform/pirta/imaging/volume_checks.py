"""What every volume has to be, whatever file it came from: its shape, its place, its numbers.

Axis suffixes: X Y Z voxels (as stored, until `to_ras` turns them to RAS+). Readers call these
before they unpack voxels (shape, affine) and after (numbers). Messages name the file's role
("DWI") and numbers, nothing else.
"""

from __future__ import annotations

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from pirta.errors import GeometryError, IntensityError
from pirta.imaging.volume import Volume

MAX_VOXELS = 2**26  # 512 x 512 x 256; a DWI of the whole head is below a tenth of it
MIN_SIDE_VOX = 5
SPACING_RANGE_MM = (0.2, 20.0)

MAX_DISTANCE_MM = 1e5
"""From the world's origin to the first voxel: beyond, millimetres drown in rounding."""

MAX_MAGNITUDE = 1e30
"""Sums and products of larger values leave the range of float32."""

LABEL_ROLES = ("mask", "territory")
"""Roles that may be empty: a study may have no lesion."""


def check_shape(shape: tuple[int, ...], *, role: str) -> tuple[int, int, int]:
    """Return the three sides, trailing sides of one dropped.

    Raises:
        GeometryError: not 3D, a side too short, or more voxels than a head has.
    """
    text = "x".join(map(str, shape)) or "empty"
    sides = shape
    while len(sides) > 3 and sides[-1] == 1:
        sides = sides[:-1]
    if len(sides) != 3:
        raise GeometryError(
            f"The {role} volume is {len(sides)}D ({text} voxels); one 3D volume is needed.",
            remedy="Pick one 3D volume (for the DWI the trace image of the highest b value), or "
            "send the series with its .bval file as one study.",
        )
    if min(sides) < MIN_SIDE_VOX:
        raise GeometryError(
            f"The {role} volume has {text} voxels; every side needs {MIN_SIDE_VOX} or more.",
            remedy="Send the whole volume, not a single slice.",
        )
    if sides[0] * sides[1] * sides[2] > MAX_VOXELS:
        raise GeometryError(
            f"The {role} header claims {text} voxels, above the limit of {MAX_VOXELS}.",
            remedy="Send the volume as the scanner made it; whole heads are far smaller.",
        )
    return sides[0], sides[1], sides[2]


def check_affine(affine: NDArray[np.float64], *, role: str) -> None:
    """Refuse an affine that cannot be a scanner's.

    Raises:
        GeometryError: NaN, a spacing outside `SPACING_RANGE_MM`, two axes in one direction, or
            a place beyond `MAX_DISTANCE_MM`.
    """
    remedy = "Convert the study again; the header's orientation is unusable."
    if not np.all(np.isfinite(affine)):
        raise GeometryError(f"The {role} affine holds NaN or infinity.", remedy=remedy)
    spacing_mm = np.linalg.norm(affine[:3, :3], axis=0)
    text = " x ".join(f"{side:.3g}" for side in spacing_mm)
    low, high = SPACING_RANGE_MM
    if np.any(spacing_mm < low) or np.any(spacing_mm > high):
        raise GeometryError(
            f"The {role} spacing is {text} mm; {low} to {high} mm is possible.", remedy=remedy
        )
    if np.any(np.abs(affine[:3, 3]) > MAX_DISTANCE_MM):
        raise GeometryError(
            f"The {role} volume lies more than {MAX_DISTANCE_MM:.0f} mm off.", remedy=remedy
        )
    if abs(np.linalg.det(affine[:3, :3] / spacing_mm)) < 0.1:
        raise GeometryError(
            f"The {role} affine is singular: two axes run the same way.", remedy=remedy
        )


def check_numbers(values_XYZ: NDArray[np.float32], *, role: str) -> None:
    """Refuse voxels that are no numbers, and images without content.

    Raises:
        IntensityError: NaN or infinite voxels; for images also all the same, or beyond
            `MAX_MAGNITUDE`.
    """
    num_bad = int(values_XYZ.size - np.count_nonzero(np.isfinite(values_XYZ)))
    if num_bad:
        raise IntensityError(
            f"The {role} volume has {num_bad} NaN or infinite voxels of {values_XYZ.size}.",
            remedy="Replace them at their source, or export the volume again.",
        )
    if role.lower() in LABEL_ROLES:
        return
    low, high = float(values_XYZ.min()), float(values_XYZ.max())
    if max(-low, high) > MAX_MAGNITUDE:
        raise IntensityError(
            f"The {role} volume holds the value {max(-low, high):.2g}; no image reaches "
            f"{MAX_MAGNITUDE:g}.",
            remedy="Export the volume again; its scaling or its voxels are damaged.",
        )
    if low == high:
        what = "zero" if low == 0 else f"the same value, {low:g}"
        raise IntensityError(
            f"The {role} volume is empty: all voxels are {what}.",
            remedy="Export the volume again and look at it in a viewer.",
        )


def to_ras(
    values_XYZ: NDArray[np.float32], affine: NDArray[np.float64], *, orientation: str
) -> Volume:
    """Return the volume with its axes flipped and permuted to RAS+, as close as the affine is.

    Args:
        orientation: what the affine rests on, kept as provenance beside the stored axes.
    """
    turn = nib.io_orientation(affine)
    return Volume(
        data_XYZ=np.ascontiguousarray(nib.apply_orientation(values_XYZ, turn), dtype=np.float32),
        affine=np.asarray(
            affine @ nib.orientations.inv_ornt_aff(turn, values_XYZ.shape), dtype=np.float64
        ),
        provenance={"orientation": orientation, "axes": "".join(nib.aff2axcodes(affine))},
    )
