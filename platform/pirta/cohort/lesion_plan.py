"""What an acute infarct shall be: its finding, volume, contrast and number of foci.

A plan is drawn before any voxel is known and decides the ground truth: the infarct type fits
the territory (lacunes and striato-capsular infarcts are deep gray; large and wedge-shaped ones
are cortical, anterior or posterior; small ones are anywhere) and the class follows from the
ADC. It places nothing: `pirta.cohort.lesions` does.

Strong or mild: an infarct is strong where its core's ADC is below 0.70 of what it was
(`STRONG_BELOW_ADC_RATIO`). Drawn values keep 0.04 away from that line on either side.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pirta.contracts.finding import (
    Finding,
    InfarctType,
    Label,
    Laterality,
    LesionClass,
    Territory,
)

STRONG_BELOW_ADC_RATIO = 0.70
_ADC_RATIO = {LesionClass.STRONG: (0.48, 0.66), LesionClass.MILD: (0.74, 0.82)}
_T2_RATIO = {LesionClass.STRONG: (1.15, 1.55), LesionClass.MILD: (1.08, 1.28)}
_STRONG_SHARE = 0.65
_BILATERAL_SHARE = 0.08
_LEAST_FOCUS_ML = 0.5  # on average over a multifocal plan

_TERRITORY_OF_LABEL = {
    Label.ANTERIOR: Territory.ANTERIOR,
    Label.DEEP_GRAY: Territory.DEEP_GRAY,
    Label.POSTERIOR: Territory.POSTERIOR,
}
# Infarct type, its share within the territory, and its volume in ml (log-uniform).
_TYPES: dict[Territory, tuple[tuple[InfarctType, float, tuple[float, float]], ...]] = {
    Territory.ANTERIOR: (
        (InfarctType.LARGE_VASCULAR, 0.30, (40.0, 180.0)),
        (InfarctType.WEDGE_VASCULAR, 0.40, (6.0, 35.0)),
        (InfarctType.SMALL, 0.30, (0.6, 4.0)),
    ),
    Territory.DEEP_GRAY: (
        (InfarctType.SMALL_LACUNE, 0.40, (0.4, 1.7)),
        (InfarctType.SMALL_STRIATO_CAPSULAR, 0.40, (3.0, 12.0)),
        (InfarctType.SMALL, 0.20, (0.5, 2.5)),
    ),
    Territory.POSTERIOR: (
        (InfarctType.LARGE_VASCULAR, 0.30, (20.0, 75.0)),
        (InfarctType.WEDGE_VASCULAR, 0.40, (5.0, 25.0)),
        (InfarctType.SMALL, 0.30, (0.6, 4.0)),
    ),
}
# Share of plans with satellites, by type; a bilateral plan always has foci on both sides.
_MULTIFOCAL_SHARE = {
    InfarctType.LARGE_VASCULAR: 0.15,
    InfarctType.WEDGE_VASCULAR: 0.30,
    InfarctType.SMALL_LACUNE: 0.0,
    InfarctType.SMALL_STRIATO_CAPSULAR: 0.05,
    InfarctType.SMALL: 0.30,
}


@dataclass(frozen=True)
class LesionPlan:
    """One infarct to be made.

    Attributes:
        target_volume_ml: volume of all foci together.
        adc_ratio: ADC in the core over ADC before.
        t2_ratio: b0 signal in the core over b0 signal before (T2 shine-through).
        num_foci: the main lesion and its satellites.
        edge_mm: width over which the border fades.
    """

    finding: Finding
    target_volume_ml: float
    adc_ratio: float
    t2_ratio: float
    num_foci: int
    edge_mm: float

    @property
    def territory_code(self) -> int:
        """The territory's number in a territory map (1 anterior, 2 deep gray, 3 posterior)."""
        return TERRITORY_CODES[self.finding.territory]

    def dwi_ratio(self, *, adc: float, b_value_s_mm2: float) -> float:
        """Return the core's DWI over the DWI before, where the ADC (10⁻³ mm²/s) was `adc`."""
        return self.t2_ratio * float(np.exp(b_value_s_mm2 * 1e-3 * adc * (1 - self.adc_ratio)))


TERRITORY_CODES: dict[Territory, int] = {
    Territory.ANTERIOR: 1,
    Territory.DEEP_GRAY: 2,
    Territory.POSTERIOR: 3,
}


def lesion_class_of(adc_ratio: float) -> LesionClass:
    """Return the class that an ADC ratio makes."""
    return LesionClass.STRONG if adc_ratio < STRONG_BELOW_ADC_RATIO else LesionClass.MILD


def plan_lesion(
    rng: np.random.Generator,
    *,
    label: Label | None = None,
    infarct_type: InfarctType | None = None,
    lesion_class: LesionClass | None = None,
    laterality: Laterality | None = None,
    volume_ml: float | None = None,
) -> LesionPlan:
    """Draw a plan; what is given is kept, the rest is random.

    Args:
        label: the territory as the encoder's class; None draws one of the three.
        volume_ml: of all foci together; the type is then one that comes in that size, or the
            nearest, and there are satellites only where each focus can have `_LEAST_FOCUS_ML`.

    Raises:
        ValueError: the label is `normal`, or the type does not occur in that territory.
    """
    if label is Label.NORMAL:
        raise ValueError("a normal study has no lesion to plan; use one of the three territories")
    drawn = list(_TERRITORY_OF_LABEL)[int(rng.integers(3))]
    territory = _TERRITORY_OF_LABEL[label or drawn]
    if volume_ml is not None and infarct_type is None:
        infarct_type = _type_of_volume(rng, territory, volume_ml)
    kind, volumes_ml = _draw_type(rng, territory, infarct_type)
    drawn_class = LesionClass.STRONG if rng.random() < _STRONG_SHARE else LesionClass.MILD
    chosen_class = lesion_class or drawn_class
    side = laterality or _draw_side(rng, kind)
    most_foci = 4 if volume_ml is None else int(volume_ml / _LEAST_FOCUS_ML)
    if most_foci < 2 and laterality is None and side is Laterality.BILATERAL:
        side = Laterality.LEFT if rng.random() < 0.5 else Laterality.RIGHT
    multifocal = rng.random() < _MULTIFOCAL_SHARE[kind] and most_foci >= 2
    multifocal = multifocal or side is Laterality.BILATERAL
    num_foci = min(int(rng.integers(2, 5)), max(2, most_foci)) if multifocal else 1
    if volume_ml is None:
        volume_ml = _draw_volume_ml(rng, volumes_ml, chosen_class, num_foci)
    finding = Finding(
        lesion_class=chosen_class,
        infarct_type=kind,
        territory=territory,
        laterality=side,
        multifocal=multifocal,
    )
    return LesionPlan(
        finding=finding,
        target_volume_ml=volume_ml,
        adc_ratio=float(rng.uniform(*_ADC_RATIO[chosen_class])),
        t2_ratio=float(rng.uniform(*_T2_RATIO[chosen_class])),
        num_foci=num_foci,
        edge_mm=float(rng.uniform(1.0, 2.5)),
    )


def _draw_type(
    rng: np.random.Generator, territory: Territory, wanted: InfarctType | None
) -> tuple[InfarctType, tuple[float, float]]:
    rows = _TYPES[territory]
    drawn = int(rng.choice(len(rows), p=[share for _, share, _ in rows]))
    if wanted is None:
        return rows[drawn][0], rows[drawn][2]
    for kind, _, volumes_ml in rows:
        if kind is wanted:
            return kind, volumes_ml
    known = ", ".join(kind for kind, _, _ in rows)
    raise ValueError(f"no {wanted} infarct in the {territory}; it has: {known}")


def _type_of_volume(
    rng: np.random.Generator, territory: Territory, volume_ml: float
) -> InfarctType:
    """A type of the territory that comes in this volume, or the one whose range is nearest."""

    def distance(range_ml: tuple[float, float]) -> float:
        low, high = range_ml
        return float(np.log(max(low / volume_ml, volume_ml / high, 1.0)))

    nearest = min(distance(range_ml) for _, _, range_ml in _TYPES[territory])
    fitting = [(kind, share) for kind, share, ml in _TYPES[territory] if distance(ml) <= nearest]
    shares = np.array([share for _, share in fitting])
    return fitting[int(rng.choice(len(fitting), p=shares / shares.sum()))][0]


def _draw_volume_ml(
    rng: np.random.Generator, range_ml: tuple[float, float], kind: LesionClass, num_foci: int
) -> float:
    low, high = range_ml
    if kind is LesionClass.MILD:
        low *= 1.4  # a faint lesion of a few voxels is no answer that an image can give
    volume_ml = float(np.exp(rng.uniform(np.log(low), np.log(high))))
    return max(volume_ml, _LEAST_FOCUS_ML * num_foci if num_foci > 1 else 0.0)


def _draw_side(rng: np.random.Generator, kind: InfarctType) -> Laterality:
    drawn = rng.random()
    if drawn < _BILATERAL_SHARE and kind in (InfarctType.SMALL, InfarctType.WEDGE_VASCULAR):
        return Laterality.BILATERAL
    return Laterality.LEFT if rng.random() < 0.5 else Laterality.RIGHT
