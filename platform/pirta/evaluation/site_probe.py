"""How well an embedding tells the scanners apart: a linear probe among cases of one kind.

An encoder may learn the scanner in place of the lesion. Among normals nothing but the scanner
differs between sites, so a probe far above chance says that the embedding carries it. The probe
is scikit-learn's logistic regression, classes balanced, cross-validated with whole patients held
out. Its p is the share of permutations (sites dealt anew to patients) that do as well. scikit-
learn's own permutation test shuffles within groups, which leaves one-scan patients as they are.

Axis suffixes: Q cases, D embedding, R its rotation onto the cases' span, which loses nothing.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pirta.evaluation.classification_metrics import balanced_accuracy, confusions
from pirta.evaluation.embedded_cases import EmbeddedCases
from pirta.evaluation.intervals import Interval, Sampled, draw_weights

_MOST_FOLDS = 5
_LEAST_PATIENTS = 3  # of a site: one held out, two to learn from


@dataclass(frozen=True)
class SiteProbe:
    """What the probe found; `balanced_accuracy` is NaN where fewer than two sites took part.

    Attributes:
        among: "normals" or "strokes".
        target: "site" or "scanner".
        num_cases: by site, of those with enough patients.
        left_out: sites with fewer than three patients.
        p_value: NaN without permutations: where none were asked for, or where a patient was at
            several sites, which leaves nothing to deal anew.
    """

    among: str
    target: str
    num_cases: dict[str, int]
    left_out: tuple[str, ...]
    balanced_accuracy: Interval
    chance: float
    p_value: float
    num_permutations: int


def probe_sites(
    cases: EmbeddedCases,
    *,
    among: str,
    target: str = "site",
    num_permutations: int = 100,
    num_resamples: int = 1000,
    seed: int = 0,
) -> SiteProbe:
    """Return how well sites or scanners are told apart among the normals or the strokes.

    Raises:
        ValueError: `among` or `target` is another word.
    """
    wanted = {"normals": False, "strokes": True}
    columns = {"site": cases.sites, "scanner": cases.scanners}
    if among not in wanted or target not in columns:
        raise ValueError(f"no probe of {target} among {among}")
    some = cases.take(cases.is_stroke_Q == wanted[among])
    site_Q = columns[target][cases.is_stroke_Q == wanted[among]]
    enough, few = _by_patients(site_Q, some.patient_ids)
    kept_Q = np.isin(site_Q, enough)
    some, site_Q = some.take(kept_Q), site_Q[kept_Q]
    counts = {str(name): int((site_Q == name).sum()) for name in enough}
    if len(enough) < 2:
        nothing = Interval(math.nan, math.nan, math.nan)
        return SiteProbe(among, target, counts, few, nothing, math.nan, math.nan, 0)
    features_QR = _rotated(some.embeddings_QD)
    truth_Q = np.searchsorted(enough, site_Q)
    if not _one_site_each(truth_Q, some.patient_ids):
        num_permutations = 0  # sites cannot be dealt to patients who were at several
    rng = np.random.default_rng(seed)
    called_Q = _cross_validated(features_QR, truth_Q, some.patient_ids, seed)
    weights_SQ = draw_weights(some.patient_ids, num_resamples=num_resamples, seed=seed)
    matrix_SKK = confusions(truth_Q, called_Q, weights_SQ, num_classes=len(enough))
    found = Sampled(balanced_accuracy(matrix_SKK)).interval()
    as_well = 0
    for _ in range(num_permutations):
        dealt_Q = _dealt_anew(rng, truth_Q, some.patient_ids)
        guess_Q = _cross_validated(features_QR, dealt_Q, some.patient_ids, seed)
        ones = np.ones((1, len(dealt_Q)))
        score = balanced_accuracy(confusions(dealt_Q, guess_Q, ones, num_classes=len(enough)))
        as_well += bool(score[0] >= found.value)
    p_value = (1 + as_well) / (1 + num_permutations) if num_permutations else math.nan
    return SiteProbe(among, target, counts, few, found, 1 / len(enough), p_value, num_permutations)


def _by_patients(
    site_Q: NDArray[np.str_], patient_ids: NDArray[np.str_]
) -> tuple[list[str], tuple[str, ...]]:
    """Return the sites with enough patients, sorted, and the others."""
    pairs = sorted(set(zip(site_Q.tolist(), patient_ids.tolist(), strict=True)))
    num_patients = Counter(site for site, _ in pairs)
    enough = [site for site, count in num_patients.items() if count >= _LEAST_PATIENTS]
    return enough, tuple(site for site in num_patients if site not in enough)


def _one_site_each(truth_Q: NDArray[np.int64], patient_ids: NDArray[np.str_]) -> bool:
    pairs = set(zip(patient_ids.tolist(), truth_Q.tolist(), strict=True))
    return len(pairs) == len(np.unique(patient_ids))


def _rotated(embeddings_QD: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return coordinates in the cases' own span, scaled to a variance of about 1 each.

    Logistic regression with a ridge does not see rotations: fewer columns, the same answer.
    """
    centred_QD = embeddings_QD.astype(np.float64) - embeddings_QD.mean(axis=0, dtype=np.float64)
    left_QR, singular_R, _ = np.linalg.svd(centred_QD, full_matrices=False)
    features_QR = left_QR * singular_R
    spread = math.sqrt(float((features_QR**2).mean()))
    return np.asarray(features_QR / spread if spread > 0 else features_QR)


def _cross_validated(
    features_QR: NDArray[np.float64],
    truth_Q: NDArray[np.int64],
    patient_ids: NDArray[np.str_],
    seed: int,
) -> NDArray[np.int64]:
    """Return each case's site as called by a probe that never saw its patient."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict

    fewest = min(len(np.unique(patient_ids[truth_Q == number])) for number in np.unique(truth_Q))
    folds = StratifiedGroupKFold(min(_MOST_FOLDS, fewest), shuffle=True, random_state=seed)
    probe = LogisticRegression(class_weight="balanced", max_iter=2000, tol=1e-2)
    called = cross_val_predict(probe, features_QR, truth_Q, groups=patient_ids, cv=folds)
    return np.asarray(called, dtype=np.int64)


def _dealt_anew(
    rng: np.random.Generator, truth_Q: NDArray[np.int64], patient_ids: NDArray[np.str_]
) -> NDArray[np.int64]:
    """Deal the patients' sites anew; a patient's scans stay together."""
    _, first, patient_of_case = np.unique(patient_ids, return_index=True, return_inverse=True)
    return np.asarray(rng.permutation(truth_Q[first])[patient_of_case])
