"""The threshold above which a study is called "any acute lesion", chosen on validation cases.

Chosen on the cases that are judged, a threshold flatters; so it is chosen on others, and the
result says on which. It does not look at the classes apart from `normal`.

Axis suffixes: Q validation cases, T candidate thresholds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pirta.evaluation.embedded_cases import EmbeddedCases


@dataclass(frozen=True)
class OperatingPoint:
    """A threshold, and what it gave where it was chosen.

    Attributes:
        threshold: a study scoring at least this is called a lesion.
        chosen_on: names of the validation data.
        sensitivity, specificity: on the validation cases.
    """

    threshold: float
    least_specificity: float
    chosen_on: tuple[str, ...]
    num_normals: int
    num_strokes: int
    sensitivity: float
    specificity: float

    def __str__(self) -> str:
        return (
            f"probability of any lesion >= {self.threshold:.4f}, chosen on "
            f"{', '.join(self.chosen_on)} for specificity >= {self.least_specificity:g} "
            f"({self.num_normals} normals, {self.num_strokes} strokes; there sensitivity "
            f"{self.sensitivity:.3f} at specificity {self.specificity:.3f})"
        )


def choose_operating_point(
    validation: EmbeddedCases, *, least_specificity: float = 0.95
) -> OperatingPoint | None:
    """Return the most sensitive threshold whose specificity is high enough.

    Candidates lie midway between neighbouring scores; among equally sensitive ones the most
    specific is taken. None without both normals and strokes.
    """
    scores_Q, is_stroke_Q = validation.lesion_scores_Q, validation.is_stroke_Q
    if is_stroke_Q.all() or not is_stroke_Q.any():
        return None
    distinct = np.unique(scores_Q)
    middles = (distinct[1:] + distinct[:-1]) / 2
    thresholds_T = np.concatenate([distinct[:1], middles, [np.nextafter(distinct[-1], np.inf)]])
    normals, strokes = np.sort(scores_Q[~is_stroke_Q]), np.sort(scores_Q[is_stroke_Q])
    specificity_T = np.searchsorted(normals, thresholds_T, side="left") / len(normals)
    sensitivity_T = 1 - np.searchsorted(strokes, thresholds_T, side="left") / len(strokes)
    allowed = np.flatnonzero(specificity_T >= least_specificity)
    best = max(allowed, key=lambda row: (sensitivity_T[row], specificity_T[row]))
    return OperatingPoint(
        threshold=float(thresholds_T[best]),
        least_specificity=least_specificity,
        chosen_on=tuple(sorted(set(validation.datasets.tolist()))),
        num_normals=len(normals),
        num_strokes=len(strokes),
        sensitivity=float(sensitivity_T[best]),
        specificity=float(specificity_T[best]),
    )
