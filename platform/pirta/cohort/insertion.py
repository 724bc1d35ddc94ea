"""One infarct in a normal DWI/ADC pair, with the mask, finding and volume that are then true.

Axis suffixes: X Y Z voxels (RAS+). ADC is in 10⁻³ mm²/s; DWI may be on any linear scale. The
territory map holds 0 none, 1 anterior, 2 deep gray, 3 posterior, whoever made it. Works on any
grid, the prepared one as well as a scanner's. `lesion_plan` decides what, `lesions` grows it and
knows the physics; this sees to it that what comes out is what was asked for.

A lesion grows in voxels that are mostly tissue, and the mask is where it fills at least half of
one: so the mask's volume is the plan's, and no mask voxel is fluid. Foci that ran into one another
or into a border lack volume; they are grown again elsewhere, and refused when that does not help.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pirta.cohort.lesion_plan import LesionPlan, plan_lesion
from pirta.cohort.lesion_requests import LesionRequest
from pirta.cohort.lesions import grow_lesion, insert_lesion
from pirta.errors import GeometryError

MOSTLY_TISSUE_ADC = 1.6
"""10⁻³ mm²/s; from here on `insert_lesion` gives a voxel less than half a lesion."""

VOLUME_TOLERANCE = 0.15
_NUM_TRIES = 12
_NUM_PLANS = 4  # drawn volumes may be too large for a brain; asked ones are not changed


@dataclass(frozen=True)
class InsertedLesion:
    """A pair with an infarct in it, and its answer.

    Attributes:
        mask_XYZ: uint8, 1 = lesion.
        lesion_ml: volume of the mask.
    """

    dwi_XYZ: NDArray[np.float32]
    adc_XYZ: NDArray[np.float32]
    mask_XYZ: NDArray[np.uint8]
    lesion_ml: float
    plan: LesionPlan


def insert_into_normal(
    rng: np.random.Generator,
    plan: LesionPlan,
    dwi_XYZ: NDArray[np.float32],
    adc_XYZ: NDArray[np.float32],
    territory_XYZ: NDArray[np.uint8],
    spacing_mm: tuple[float, float, float],
    *,
    b_value_s_mm2: float,
    x_mm: NDArray[np.floating] | None = None,
) -> InsertedLesion:
    """Return the pair with the plan's infarct; the arrays given stay as they are.

    Args:
        x_mm: distance from the midline, positive on the right; see `grow_lesion`.

    Raises:
        GeometryError: the territory has no tissue on the side asked for, or its volume there
            differs from the one planned by more than `VOLUME_TOLERANCE`, wherever it is grown.
    """
    ground_XYZ = np.where(adc_XYZ < MOSTLY_TISSUE_ADC, territory_XYZ, 0).astype(np.uint8)
    voxel_ml = float(np.prod(spacing_mm)) / 1000
    planned = max(1, round(plan.target_volume_ml / voxel_ml))
    nearest, fewest = np.inf, 0
    for _ in range(_NUM_TRIES):
        fraction_XYZ = grow_lesion(rng, plan, ground_XYZ, spacing_mm, x_mm=x_mm)
        # The border voxel itself has exactly one half.
        mask_XYZ = fraction_XYZ >= 0.5 - 1e-6
        num_voxels = int(mask_XYZ.sum())
        miss = abs(num_voxels - planned)
        if miss <= max(VOLUME_TOLERANCE * planned, 0.5):
            break
        if miss < nearest:
            nearest, fewest = miss, num_voxels
    else:
        raise GeometryError(
            f"An infarct of {plan.target_volume_ml:.2f} ml does not fit into the "
            f"{plan.finding.territory} territory ({plan.finding.laterality}): "
            f"{fewest * voxel_ml:.2f} ml was the nearest of {_NUM_TRIES} tries.",
            remedy="Ask for another volume, or take a study that shows more of the brain.",
        )
    new_dwi_XYZ, new_adc_XYZ = insert_lesion(
        dwi_XYZ, adc_XYZ, fraction_XYZ, plan=plan, b_value_s_mm2=b_value_s_mm2
    )
    return InsertedLesion(
        new_dwi_XYZ, new_adc_XYZ, mask_XYZ.astype(np.uint8), num_voxels * voxel_ml, plan
    )


def insert_as_asked(
    request: LesionRequest,
    rng: np.random.Generator,
    insert: Callable[[LesionPlan, np.random.Generator], InsertedLesion],
) -> InsertedLesion:
    """Return what `insert` makes of a plan for the request; a drawn volume is drawn again.

    Raises:
        GeometryError: no plan fits into this brain.
    """
    num_plans = 1 if request.volume_ml is not None else _NUM_PLANS
    for attempt in range(num_plans):
        plan = plan_lesion(
            rng,
            label=request.label,
            laterality=request.laterality,
            volume_ml=request.volume_ml,
        )
        try:
            return insert(plan, rng)
        except GeometryError:
            if attempt + 1 == num_plans:
                raise
    raise AssertionError("the last attempt returns or raises")
