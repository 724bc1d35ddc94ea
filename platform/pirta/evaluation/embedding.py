"""Run an encoder over known cases; volumes are loaded only when it is their turn.

Axis suffixes: B C X Y Z as in `contracts.study`, D embedding, K classes, Q cases.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pirta.contracts.finding import LABELS, Label
from pirta.errors import IntensityError, ManifestError
from pirta.evaluation.embedded_cases import EmbeddedCases

_BATCH = 8


class Embedder(Protocol):
    """What is measured; `models.runtime.LoadedEncoder` is one."""

    def embed(
        self, volume_BCXYZ: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return unit embeddings `(B, D)` and probabilities `(B, K)`."""


@dataclass(frozen=True)
class EvaluationCase:
    """A study with its known label, its volume loaded only when it is its turn.

    Attributes:
        scanner: name of the scanner within all data; empty where it is not known.
        lesion_ml: volume of the lesion, 0 for a normal study; None where it is not known.
    """

    case_id: str
    patient_id: str
    site: str
    label: Label
    load: Callable[[], NDArray[np.float32]]
    scanner: str = ""
    lesion_ml: float | None = None


def embed_cases(
    encoder: Embedder,
    cases: Sequence[EvaluationCase],
    *,
    dataset: str,
    on_case: Callable[[int], None] | None = None,
) -> EmbeddedCases:
    """Embed cases that go by the name `dataset`; `on_case` hears how many are done.

    Raises:
        ManifestError: there is no case.
        IntensityError: the encoder's answer for a case is not finite.
    """
    if not cases:
        raise ManifestError(
            f"The data '{dataset}' hold no case.", remedy="Name a split that has cases."
        )
    parts = []
    for start in range(0, len(cases), _BATCH):
        some = cases[start : start + _BATCH]
        answer = encoder.embed(np.stack([case.load() for case in some]))
        _check_finite(answer, some, dataset)
        parts.append(answer)
        if on_case:
            on_case(start + len(some))
    volumes = [_lesion_ml(case) for case in cases]
    return EmbeddedCases(
        case_ids=np.array([case.case_id for case in cases]),
        patient_ids=np.array([case.patient_id for case in cases]),
        datasets=np.array([dataset] * len(cases)),
        sites=np.array([case.site for case in cases]),
        scanners=np.array([case.scanner for case in cases]),
        truths_Q=np.array([LABELS.index(case.label) for case in cases]),
        lesion_ml_Q=np.array(volumes, np.float64),
        embeddings_QD=np.concatenate([part[0] for part in parts]),
        probabilities_QK=np.concatenate([part[1] for part in parts]).astype(np.float64),
    )


def _lesion_ml(case: EvaluationCase) -> float:
    if case.lesion_ml is not None:
        return case.lesion_ml
    return 0.0 if case.label is Label.NORMAL else math.nan


def _check_finite(
    answer: tuple[NDArray[np.float32], NDArray[np.float32]],
    cases: Sequence[EvaluationCase],
    dataset: str,
) -> None:
    finite_B = np.asarray(np.isfinite(answer[0]).all(axis=1) & np.isfinite(answer[1]).all(axis=1))
    if not finite_B.all():
        names = ", ".join(cases[int(row)].case_id for row in np.flatnonzero(~finite_B))
        raise IntensityError(
            f"The encoder's answer is not finite for {int((~finite_B).sum())} case(s) of "
            f"'{dataset}': {names}.",
            remedy="Look for NaN or infinite voxels in their prepared volumes.",
        )
