"""Grow an infarct inside its territory, and put it into a DWI/ADC pair by the physics.

Works on any RAS+ grid and is cheap enough to insert a fresh lesion at every training step.
Axis suffixes: X Y Z voxels (RAS+: x grows to the patient's right), K candidate voxels,
3 millimetres along x, y, z. ADC is in 10⁻³ mm²/s; DWI may be on any linear scale. Territory
maps hold 0 none, 1 anterior, 2 deep gray, 3 posterior. What to grow is `lesion_plan`'s matter.

A focus is the set of territory voxels of lowest "cost" (an ellipsoid's or a wedge's distance,
bent by smooth noise) that makes up the wanted volume, with a border that fades.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pirta.cohort.lesion_plan import LesionPlan, plan_lesion
from pirta.cohort.smooth_field import smooth_field
from pirta.contracts.finding import InfarctType, Laterality
from pirta.errors import GeometryError

__all__ = ["LesionPlan", "grow_lesion", "insert_lesion", "plan_lesion"]

# A voxel above 2 is CSF and takes no lesion; below 1.2 it is tissue and takes all of it.
_TISSUE_ADC, _CSF_ADC = 1.2, 2.0
_SATELLITE_SHARE = (0.06, 0.22)  # of the whole volume, each


@dataclass(frozen=True)
class _Ground:
    """Where foci may lie: the candidates of one territory and side, in one grid."""

    allowed_XYZ: NDArray[np.bool_]
    inside_XYZ: NDArray[np.bool_]
    spacing_mm: NDArray[np.float64]
    centre_mm: NDArray[np.float64]


def grow_lesion(
    rng: np.random.Generator,
    plan: LesionPlan,
    territory_XYZ: NDArray[np.uint8],
    spacing_mm: tuple[float, float, float],
    *,
    x_mm: NDArray[np.floating] | None = None,
) -> NDArray[np.float32]:
    """Return the share of each voxel that is infarct, 0 to 1, shape `(X, Y, Z)`.

    Args:
        x_mm: distance of each voxel from the midline, positive on the patient's right, shape
            `(X,)` or `(X, Y, Z)`. None takes the middle of the labelled voxels as the midline.

    Raises:
        GeometryError: the territory has no voxel on the side asked for.
    """
    inside_XYZ = territory_XYZ > 0
    centre_mm = _centre_mm(inside_XYZ, spacing_mm)
    right_XYZ = _right_side(territory_XYZ.shape, spacing_mm, centre_mm, x_mm)
    own_XYZ = territory_XYZ == plan.territory_code
    grounds = []
    for side in _sides(plan):
        allowed_XYZ = own_XYZ & (right_XYZ if side is Laterality.RIGHT else ~right_XYZ)
        if not allowed_XYZ.any():
            raise GeometryError(
                f"The territory map has no voxel of the {plan.finding.territory} territory "
                f"on the {side} side.",
                remedy="Use a map of a whole brain, RAS+, with labels 1, 2 and 3.",
            )
        grounds.append(_Ground(allowed_XYZ, inside_XYZ, np.asarray(spacing_mm), centre_mm))
    fraction_XYZ = np.zeros(territory_XYZ.shape, np.float32)
    for number, volume_ml in enumerate(_focus_volumes_ml(rng, plan)):
        _add_focus(rng, plan, grounds[number % len(grounds)], number, volume_ml, fraction_XYZ)
    return fraction_XYZ


def insert_lesion(
    dwi: NDArray[np.float32],
    adc: NDArray[np.float32],
    fraction: NDArray[np.float32],
    *,
    plan: LesionPlan,
    b_value_s_mm2: float,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return DWI and ADC with the infarct in them; the arrays given stay as they are.

    ADC falls by `fraction * (1 - adc_ratio)`, b0 rises by `fraction * (t2_ratio - 1)`, and
    since DWI = S0 · exp(−b·ADC), DWI is multiplied by the b0's rise and by exp(b · ADC fall).
    Voxels of CSF (by their ADC) and empty ones take no lesion.
    """
    touched = np.nonzero(fraction)
    share = fraction[touched]
    before = adc[touched].astype(np.float32)
    share = share * np.clip((_CSF_ADC - before) / (_CSF_ADC - _TISSUE_ADC), 0, 1) * (before > 0)
    after = before * (1 - share * np.float32(1 - plan.adc_ratio))
    rise = 1 + share * np.float32(plan.t2_ratio - 1)
    new_dwi, new_adc = dwi.astype(np.float32), adc.astype(np.float32)  # copies
    new_dwi[touched] *= rise * np.exp(np.float32(b_value_s_mm2 * 1e-3) * (before - after))
    new_adc[touched] = after
    return new_dwi, new_adc


def _sides(plan: LesionPlan) -> tuple[Laterality, ...]:
    if plan.finding.laterality in (Laterality.LEFT, Laterality.RIGHT):
        return (plan.finding.laterality,)
    return (Laterality.LEFT, Laterality.RIGHT)


def _right_side(
    shape: tuple[int, ...],
    spacing_mm: tuple[float, float, float],
    centre_mm: NDArray[np.float64],
    x_mm: NDArray[np.floating] | None,
) -> NDArray[np.bool_]:
    if x_mm is None:
        x_mm = np.arange(shape[0]) * spacing_mm[0] - centre_mm[0]
    return np.asarray((x_mm if x_mm.ndim == 3 else x_mm[:, None, None]) > 0)


def _centre_mm(
    inside_XYZ: NDArray[np.bool_], spacing_mm: tuple[float, float, float]
) -> NDArray[np.float64]:
    """The labelled voxels' centre; an empty map's centre is the grid's corner."""
    plane_XZ = inside_XYZ.sum(axis=1)
    counts = (plane_XZ.sum(axis=1), inside_XYZ.sum(axis=(0, 2)), plane_XZ.sum(axis=0))
    total = max(1, int(counts[0].sum()))
    steps = [float(np.arange(len(count)) @ count) / total for count in counts]
    return np.asarray(steps, np.float64) * np.asarray(spacing_mm, np.float64)


def _focus_volumes_ml(rng: np.random.Generator, plan: LesionPlan) -> list[float]:
    """Split the volume: the main lesion first, then its satellites."""
    shares = rng.uniform(*_SATELLITE_SHARE, size=plan.num_foci - 1)
    main = 1 - float(shares.sum())
    return [plan.target_volume_ml * share for share in (main, *map(float, shares))]


def _add_focus(
    rng: np.random.Generator,
    plan: LesionPlan,
    ground: _Ground,
    number: int,
    volume_ml: float,
    fraction_XYZ: NDArray[np.float32],
) -> None:
    """Grow one focus and write it over `fraction_XYZ`, the larger share winning."""
    kind = plan.finding.infarct_type if number == 0 else InfarctType.SMALL
    seed_mm = _seed_mm(rng, ground, cortical=kind in _CORTICAL)
    radius_mm = (volume_ml * 1000 * 3 / (4 * np.pi)) ** (1 / 3)
    reach_mm = _REACH[kind] * radius_mm + 6.0
    low = np.maximum(0, np.floor((seed_mm - reach_mm) / ground.spacing_mm)).astype(int)
    shape = np.asarray(ground.allowed_XYZ.shape)
    high = np.minimum(shape, np.ceil((seed_mm + reach_mm) / ground.spacing_mm).astype(int) + 1)
    box = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    axes_mm = [
        np.arange(b.start, b.stop, dtype=np.float32) * np.float32(step)
        for b, step in zip(box, ground.spacing_mm, strict=True)
    ]
    cost_mm_XYZ = _COST[kind](rng, axes_mm, seed_mm, ground.centre_mm, radius_mm)
    noise_XYZ = smooth_field(
        rng,
        cost_mm_XYZ.shape,
        spacing_mm=tuple(map(float, ground.spacing_mm)),  # type: ignore[arg-type]
        scale_mm=float(np.clip(0.6 * radius_mm, 3.0, 12.0)),
    )
    cost_mm_XYZ += np.float32(_ROUGHNESS[kind] * radius_mm) * noise_XYZ
    allowed_XYZ = ground.allowed_XYZ[box]
    cost_K = cost_mm_XYZ[allowed_XYZ]
    count = round(volume_ml * 1000 / float(np.prod(ground.spacing_mm)))
    count = int(np.clip(count, 1, len(cost_K)))
    limit_mm = np.partition(cost_K, count - 1)[count - 1]
    share_K = 1 / (1 + np.exp(np.clip((cost_K - limit_mm) * (4 / plan.edge_mm), -30, 30)))
    share_K[share_K < 0.05] = 0
    view = fraction_XYZ[box]
    view[allowed_XYZ] = np.maximum(view[allowed_XYZ], share_K)


def _seed_mm(rng: np.random.Generator, ground: _Ground, *, cortical: bool) -> NDArray[np.float64]:
    """A random voxel of the ground; cortical seeds are moved outward to the brain's surface."""
    candidates = np.flatnonzero(ground.allowed_XYZ)
    voxel = np.unravel_index(
        candidates[int(rng.integers(len(candidates)))], ground.allowed_XYZ.shape
    )
    seed_mm = np.asarray(voxel) * ground.spacing_mm
    direction = seed_mm - ground.centre_mm
    distance_mm = float(np.linalg.norm(direction))
    if not cortical or distance_mm < 1:
        return seed_mm
    steps_mm = np.arange(0, 120, 2.0)[:, None] * (direction / distance_mm) + seed_mm
    index = np.rint(steps_mm / ground.spacing_mm).astype(int)
    within = np.all((index >= 0) & (index < ground.allowed_XYZ.shape), axis=1)
    index = index[within]
    allowed = np.flatnonzero(ground.allowed_XYZ[index[:, 0], index[:, 1], index[:, 2]])
    return np.asarray(index[allowed[-1]] * ground.spacing_mm)


def _ellipsoid_mm(
    rng: np.random.Generator,
    axes_mm: list[NDArray[np.float32]],
    seed_mm: NDArray[np.float64],
    centre_mm: NDArray[np.float64],
    radius_mm: float,
) -> NDArray[np.float32]:
    """Distance from the seed, stretched at random by up to a third along each axis."""
    del centre_mm, radius_mm
    return _stretched_distance(axes_mm, seed_mm, np.exp(rng.uniform(-0.3, 0.3, 3)))


def _comma_mm(
    rng: np.random.Generator,
    axes_mm: list[NDArray[np.float32]],
    seed_mm: NDArray[np.float64],
    centre_mm: NDArray[np.float64],
    radius_mm: float,
) -> NDArray[np.float32]:
    """Distance from the seed, long from front to back and upward as the striatum is."""
    del centre_mm, radius_mm
    return _stretched_distance(axes_mm, seed_mm, np.array([0.7, 1.4, 1.15]) * rng.uniform(0.9, 1.1))


def _wedge_mm(
    rng: np.random.Generator,
    axes_mm: list[NDArray[np.float32]],
    seed_mm: NDArray[np.float64],
    centre_mm: NDArray[np.float64],
    radius_mm: float,
) -> NDArray[np.float32]:
    """A cone that opens from depth to the cortex, its axis the line from the brain's centre."""
    inward = centre_mm - seed_mm
    inward = inward / max(float(np.linalg.norm(inward)), 1e-6)
    depth_mm = radius_mm * rng.uniform(1.7, 2.3)
    apex_mm = (seed_mm + inward * depth_mm).astype(np.float32)
    parts = np.ix_(*[axis - start for axis, start in zip(axes_mm, apex_mm, strict=True)])
    along = sum(part * np.float32(-step) for part, step in zip(parts, inward, strict=True))
    square = sum(part**2 for part in parts)
    across = np.sqrt(np.maximum(square - along**2, 0))
    # At a given cost the cone's half-width grows in proportion to the way from its apex.
    wide = across * np.float32(depth_mm) / np.maximum(along, np.float32(0.15 * depth_mm))
    before_apex = np.maximum(-along, 0) * 3
    return np.asarray(wide + before_apex, np.float32)


def _stretched_distance(
    axes_mm: list[NDArray[np.float32]],
    seed_mm: NDArray[np.float64],
    stretch: NDArray[np.float64],
) -> NDArray[np.float32]:
    parts = np.ix_(
        *[
            (axis - np.float32(start)) / np.float32(factor)
            for axis, start, factor in zip(axes_mm, seed_mm, stretch, strict=True)
        ]
    )
    return np.asarray(np.sqrt(sum(part**2 for part in parts)), np.float32)


_CORTICAL = (InfarctType.LARGE_VASCULAR, InfarctType.WEDGE_VASCULAR)
_COST = {
    InfarctType.LARGE_VASCULAR: _ellipsoid_mm,
    InfarctType.WEDGE_VASCULAR: _wedge_mm,
    InfarctType.SMALL_LACUNE: _ellipsoid_mm,
    InfarctType.SMALL_STRIATO_CAPSULAR: _comma_mm,
    InfarctType.SMALL: _ellipsoid_mm,
}
# Half the side of the box searched, in radii of a sphere of the same volume.
_REACH = {
    InfarctType.LARGE_VASCULAR: 2.2,
    InfarctType.WEDGE_VASCULAR: 2.8,
    InfarctType.SMALL_LACUNE: 2.5,
    InfarctType.SMALL_STRIATO_CAPSULAR: 3.0,
    InfarctType.SMALL: 3.0,
}
# Standard deviation of the border's wander, in the same radii.
_ROUGHNESS = {
    InfarctType.LARGE_VASCULAR: 0.18,
    InfarctType.WEDGE_VASCULAR: 0.15,
    InfarctType.SMALL_LACUNE: 0.06,
    InfarctType.SMALL_STRIATO_CAPSULAR: 0.15,
    InfarctType.SMALL: 0.18,
}
