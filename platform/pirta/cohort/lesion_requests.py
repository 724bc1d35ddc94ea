"""Which lesions a set of normals shall get: any, as patients have them, or of fixed volumes.

Each normal brain has a number; what it gets follows from that number, so that territories, sides
and volumes are balanced over the set and not drawn by chance. Nothing is grown here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from pirta.contracts.finding import LABELS, Label, Laterality
from pirta.errors import InputError

SIZE_RANGE_ML = (0.05, 50.0)
SIZES_A_DECADE = 4
LARGEST_ML = 500.0

_STROKES = tuple(label for label in LABELS if label is not Label.NORMAL)
_SIDES = (Laterality.LEFT, Laterality.RIGHT)


@dataclass(frozen=True)
class LesionRequest:
    """One lesion wanted; what is None is drawn.

    Attributes:
        volume_ml: None draws a volume that the infarct's type has.
    """

    label: Label | None = None
    laterality: Laterality | None = None
    volume_ml: float | None = None

    def __post_init__(self) -> None:
        """Refuse what no lesion can be.

        Raises:
            InputError: the label is normal, or the volume is not above 0 (or above 500 ml).
        """
        if self.label is Label.NORMAL:
            raise InputError(
                "A lesion was asked for with the label 'normal'.",
                remedy=f"Use one of {', '.join(_STROKES)}.",
            )
        if self.volume_ml is not None and not 0 < self.volume_ml <= LARGEST_ML:
            raise InputError(
                f"A lesion of {self.volume_ml:g} ml was asked for.",
                remedy=f"Ask for more than 0 and at most {LARGEST_ML:g} ml.",
            )

    @property
    def name(self) -> str:
        """What was asked for, as a part of a case's id."""
        parts = [self.label or "any", self.laterality or "any"]
        volume = [] if self.volume_ml is None else [f"{self.volume_ml:.3g}ml"]
        return "-".join([*(str(part).replace("_", "") for part in parts), *volume])


def volumes_by_size(
    *, range_ml: tuple[float, float] = SIZE_RANGE_ML, a_decade: int = SIZES_A_DECADE
) -> tuple[float, ...]:
    """Return volumes in equal steps of their logarithm, both ends included.

    Raises:
        InputError: the range is empty, not above 0 or above 500 ml, or there is no step.
    """
    low, high = range_ml
    if not 0 < low < high <= LARGEST_ML or a_decade < 1:
        raise InputError(
            f"Volumes from {low:g} to {high:g} ml in {a_decade} steps a decade were asked for.",
            remedy=f"Use a range such as 0.05 to 50, up to {LARGEST_ML:g} ml, and at least 1 step.",
        )
    number = round(float(np.log10(high / low)) * a_decade) + 1
    return tuple(round(float(volume), 4) for volume in np.geomspace(low, high, max(number, 2)))


def requests_by_size(
    normal_number: int, *, volumes_ml: Sequence[float], every: bool = False
) -> tuple[LesionRequest, ...]:
    """Return a normal's lesions of fixed volumes.

    Args:
        every: each volume in every territory and on both sides (six a volume); else each volume
            once, and territory and side go round from volume to volume and normal to normal.
    """
    places = tuple(product(_STROKES, _SIDES))
    if every:
        return tuple(
            LesionRequest(label, side, volume) for volume in volumes_ml for label, side in places
        )
    return tuple(
        LesionRequest(*places[(number + normal_number) % len(places)], volume)
        for number, volume in enumerate(volumes_ml)
    )


def requests_as_patients(
    normal_number: int,
    *,
    count: int,
    label: Label | None = None,
    laterality: Laterality | None = None,
    volume_ml: float | None = None,
) -> tuple[LesionRequest, ...]:
    """Return a normal's lesions as patients have them; what is not given goes round or is drawn."""
    return tuple(
        LesionRequest(
            label or _STROKES[(normal_number * count + number) % len(_STROKES)],
            laterality,
            volume_ml,
        )
        for number in range(count)
    )
