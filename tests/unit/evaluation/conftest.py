"""Embedded cases made by hand, for every test of the evaluation."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from pirta.evaluation.embedded_cases import EmbeddedCases

MakeCases = Callable[..., EmbeddedCases]


@pytest.fixture(scope="session")
def make_cases() -> MakeCases:
    """Return a function that makes cases whose embedding and probabilities show `shown`.

    `shown` are classes as the encoder sees them, `truths` as they are (the same by default).
    """
    return _make_cases


def _make_cases(
    shown: Sequence[int],
    truths: Sequence[int] | None = None,
    *,
    name: str = "q",
    patients: Sequence[str] | None = None,
    sites: Sequence[str] | None = None,
    scanners: Sequence[str] | None = None,
    lesion_ml: Sequence[float] | None = None,
    probabilities_QK: NDArray[np.float64] | None = None,
    embeddings_QD: NDArray[np.float32] | None = None,
    sure: float = 0.97,
) -> EmbeddedCases:
    truth = np.array(shown if truths is None else truths, dtype=np.int64)
    ids = np.array([f"{name}-{number}" for number in range(len(shown))])
    one_hot = np.eye(4)[np.asarray(shown, dtype=int)]
    likely = one_hot * sure + (1 - one_hot) * (1 - sure) / 3
    volumes = np.where(truth == 0, 0.0, 10.0) if lesion_ml is None else np.array(lesion_ml, float)
    return EmbeddedCases(
        case_ids=ids,
        patient_ids=ids if patients is None else np.array(patients),
        datasets=np.array([name] * len(shown)),
        sites=np.array(["site-x"] * len(shown) if sites is None else sites),
        scanners=np.array(["scanner-x"] * len(shown) if scanners is None else scanners),
        truths_Q=truth,
        lesion_ml_Q=volumes,
        embeddings_QD=one_hot.astype(np.float32) if embeddings_QD is None else embeddings_QD,
        probabilities_QK=likely if probabilities_QK is None else probabilities_QK,
    )
