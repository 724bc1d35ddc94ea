"""How sensitivity grows with the lesion's volume, at one threshold.

Volumes are binned on a logarithmic grid, four bins a decade, centred on 0.05, 0.089, ... 50 ml;
each bin has an exact (Clopper-Pearson) binomial interval. Cases that share a host brain are
counted as if they were independent, which makes the intervals a little narrow.

Axis suffixes: Q cases.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from pirta.evaluation.embedded_cases import EmbeddedCases
from pirta.evaluation.intervals import Interval

SIZE_BINS_ML = (0.0, 0.5, 1.0, 5.0, 20.0, np.inf)

_SMALLEST_ML, _LARGEST_ML, _BINS_A_DECADE = 0.05, 50.0, 4


@dataclass(frozen=True)
class SizePoint:
    """The strokes of about one volume.

    Attributes:
        volume_ml: their median volume.
        sensitivity: share called a lesion, with the exact 95 % interval.
    """

    volume_ml: float
    num_cases: int
    num_called: int
    sensitivity: Interval


def size_curve(cases: EmbeddedCases, called_Q: NDArray[np.bool_]) -> tuple[SizePoint, ...]:
    """Return sensitivity by volume, small to large; strokes of unknown volume are left out.

    Args:
        called_Q: True where a case was called a lesion.
    """
    known_Q = cases.is_stroke_Q & (cases.lesion_ml_Q > 0)
    volumes_ml, called = cases.lesion_ml_Q[known_Q], called_Q[known_Q]
    bin_of = np.round(_BINS_A_DECADE * np.log10(np.maximum(volumes_ml, 1e-6) / _SMALLEST_ML))
    points = []
    for number in np.unique(bin_of):
        rows = bin_of == number
        hits, count = int(called[rows].sum()), int(rows.sum())
        limits = binomtest(hits, count).proportion_ci(method="exact")
        interval = Interval(hits / count, float(limits.low), float(limits.high))
        points.append(SizePoint(float(np.median(volumes_ml[rows])), count, hits, interval))
    return tuple(points)


def size_bins(cases: EmbeddedCases) -> dict[str, NDArray[np.bool_]]:
    """Return which cases are strokes of each size; bins without a case are left out."""
    bins = {}
    for low, high in pairwise(SIZE_BINS_ML):
        name = f"{low:g}-{high:g} ml" if np.isfinite(high) else f"{low:g} ml or more"
        inside_Q = (cases.lesion_ml_Q >= low) & (cases.lesion_ml_Q < high) & cases.is_stroke_Q
        bins["below 0.5 ml" if low == 0 else name] = inside_Q
    bins["1 ml or more"] = cases.is_stroke_Q & (cases.lesion_ml_Q >= 1.0)
    bins["volume not known"] = cases.is_stroke_Q & np.isnan(cases.lesion_ml_Q)
    return {name: inside_Q for name, inside_Q in bins.items() if inside_Q.any()}
