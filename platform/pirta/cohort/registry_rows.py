"""Stroke registry rows for phantom patients: age, sex, presentation, NIHSS and history.

A row fits the finding it is made for: weakness lies on the side opposite to the lesion,
language goes with the left hemisphere and neglect with the right, the cerebellum makes for
dizziness and ataxia on its own side, and NIHSS grows with the infarct's size. It does not look
at the image and does not try to reproduce any hospital's statistics.
"""

from __future__ import annotations

import numpy as np

from pirta.contracts.finding import Finding, InfarctType, Laterality, LesionClass, Territory
from pirta.contracts.study import Registry, Sex

# {weak} is the side opposite to the lesion, {same} the lesion's own; both start a sentence.
_SIDED: dict[Territory, tuple[str, ...]] = {
    Territory.ANTERIOR: (
        "{weak} side weakness",
        "{weak} arm weakness",
        "{weak} hemiparesis, Dysarthria",
        "{weak} facial palsy",
        "{weak} side weakness, Gaze deviation",
    ),
    Territory.DEEP_GRAY: (
        "{weak} side weakness",
        "{weak} side sensory change",
        "{weak} hemiparesis",
        "{weak} facial palsy, Dysarthria",
    ),
    Territory.POSTERIOR: (
        "{weak} visual field defect",
        "{same} limb ataxia",
        "{same} limb ataxia, Dizziness",
        "{weak} side sensory change",
    ),
}
_UNSIDED: dict[Territory, tuple[str, ...]] = {
    Territory.ANTERIOR: ("Dysarthria", "Altered Mentality", "Confusion"),
    Territory.DEEP_GRAY: ("Dysarthria", "Gait disturbance", "Clumsy hand"),
    Territory.POSTERIOR: ("Dizziness", "Vertigo", "Gait disturbance", "Diplopia", "Nausea"),
}
_OF_LEFT_ANTERIOR = ("Aphasia", "Aphasia, Right side weakness")
_OF_RIGHT_ANTERIOR = ("Left neglect", "Left neglect, Left side weakness")
_OF_BOTH_SIDES = ("Altered Mentality", "Quadriparesis", "Stupor")
_OF_NORMAL = (
    "Dizziness",
    "Headache",
    "Syncope",
    "Transient left side weakness",
    "Transient right side weakness",
    "Transient dysarthria",
    "Memory impairment",
    "Paresthesia",
    "Altered Mentality",
    "Seizure",
)

# Lowest and highest NIHSS of a strong lesion; a mild one takes the lower half.
_NIHSS_RANGE: dict[InfarctType, tuple[int, int]] = {
    InfarctType.LARGE_VASCULAR: (8, 28),
    InfarctType.WEDGE_VASCULAR: (2, 14),
    InfarctType.SMALL_LACUNE: (1, 6),
    InfarctType.SMALL_STRIATO_CAPSULAR: (1, 10),
    InfarctType.SMALL: (1, 4),
}

# Condition, then its share among stroke patients and among those without a stroke.
_HISTORY: tuple[tuple[str, float, float], ...] = (
    ("HTN", 0.65, 0.45),
    ("DM", 0.32, 0.20),
    ("Dyslipidemia", 0.30, 0.22),
    ("Afib", 0.20, 0.06),
    ("CAD", 0.12, 0.08),
    ("Old CVA", 0.15, 0.07),
    ("CKD", 0.07, 0.04),
    ("Smoking", 0.18, 0.12),
)
_UNKNOWN_SHARE = 0.03


def make_registry(rng: np.random.Generator, finding: Finding | None) -> Registry:
    """Return a registry row that fits `finding`; None is a patient without a stroke.

    NIHSS is unknown in 3 in 100 rows, as registries are.
    """
    stroke = finding is not None
    age = float(np.clip(rng.normal(70.0 if stroke else 62.0, 12.0), 19, 97))
    sex: Sex = "Male" if rng.random() < (0.58 if stroke else 0.48) else "Female"
    return Registry(
        age_years=round(age),
        sex=sex,
        presentation=_presentation(rng, finding),
        nihss=None if rng.random() < _UNKNOWN_SHARE else _nihss(rng, finding),
        history=_history(rng, stroke),
    )


def _presentation(rng: np.random.Generator, finding: Finding | None) -> str:
    if finding is None:
        return _pick(rng, _OF_NORMAL)
    if finding.laterality is Laterality.BILATERAL:
        # Never a one-sided complaint: it would name a side that the lesion does not have.
        return _pick(rng, _OF_BOTH_SIDES + _UNSIDED[finding.territory])
    if finding.laterality is None or rng.random() < 0.25:
        return _pick(rng, _UNSIDED[finding.territory])
    on_left = finding.laterality is Laterality.LEFT
    choices = _SIDED[finding.territory]
    if finding.territory is Territory.ANTERIOR:
        choices += _OF_LEFT_ANTERIOR if on_left else _OF_RIGHT_ANTERIOR
    if finding.infarct_type is InfarctType.LARGE_VASCULAR:
        choices += ("Altered Mentality, {weak} side weakness", "Altered Mentality")
    weak, same = ("Right", "Left") if on_left else ("Left", "Right")
    return _pick(rng, choices).format(weak=weak, same=same)


def _nihss(rng: np.random.Generator, finding: Finding | None) -> int:
    if finding is None:
        return int(rng.choice([0, 0, 0, 0, 1, 2]))
    low, high = _NIHSS_RANGE[finding.infarct_type]
    if finding.lesion_class is LesionClass.MILD:
        high = (low + high) // 2
    if finding.territory is Territory.POSTERIOR:
        low = low // 2  # the scale hardly sees dizziness and ataxia
    worse = 4 if finding.laterality is Laterality.BILATERAL else 0
    return min(42, int(rng.integers(low, high + 1)) + worse)


def _history(rng: np.random.Generator, stroke: bool) -> tuple[str, ...]:
    return tuple(
        name
        for name, share_stroke, share_without in _HISTORY
        if rng.random() < (share_stroke if stroke else share_without)
    )


def _pick(rng: np.random.Generator, choices: tuple[str, ...]) -> str:
    return choices[int(rng.integers(len(choices)))]
