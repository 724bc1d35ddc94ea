"""How far the probabilities can be taken at their word: ECE, Brier score, temperature.

The expected calibration error is that of the likeliest class, over bins of equal mass (the same
number of cases in each), bins fixed on the data and kept in every resample. The Brier score is
the multi-class one, the squared distance to the truth summed over the classes: 0 to 2. A
temperature is fitted on validation cases by their log-likelihood and divides the logits.

Axis suffixes: S samples (rows of weights), Q cases, K classes, N bins.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from pirta.evaluation.intervals import Values, Weights, share

_LEAST_PROBABILITY = 1e-12
_TEMPERATURES = (0.05, 20.0)


@dataclass(frozen=True)
class ReliabilityBin:
    """Cases of similar confidence: what was promised, and what held."""

    num_cases: int
    mean_confidence: float
    share_right: float


def brier_scores(truth_Q: NDArray[np.int64], probabilities_QK: Values) -> Values:
    """Return each case's multi-class Brier score, 0 to 2."""
    wanted_QK = np.eye(probabilities_QK.shape[1])[truth_Q]
    return np.asarray(((probabilities_QK - wanted_QK) ** 2).sum(axis=1))


def expected_calibration_error(
    truth_Q: NDArray[np.int64], probabilities_QK: Values, weights_SQ: Weights, *, num_bins: int
) -> Values:
    """Return the ECE of each sample, `(S,)`; NaN without a case."""
    confidence_Q, right_Q = _confidence(truth_Q, probabilities_QK)
    gap_N = [
        np.abs(weights_SQ[:, rows] @ (confidence_Q[rows] - right_Q[rows]))
        for rows in _equal_mass(confidence_Q, num_bins)
    ]
    return share(np.sum(gap_N, axis=0), weights_SQ.sum(axis=1)) if gap_N else _undefined(weights_SQ)


def reliability(
    truth_Q: NDArray[np.int64], probabilities_QK: Values, *, num_bins: int
) -> tuple[ReliabilityBin, ...]:
    """Return the bins of the reliability plot, by rising confidence; empty ones are left out."""
    confidence_Q, right_Q = _confidence(truth_Q, probabilities_QK)
    return tuple(
        ReliabilityBin(len(rows), float(confidence_Q[rows].mean()), float(right_Q[rows].mean()))
        for rows in _equal_mass(confidence_Q, num_bins)
    )


def fit_temperature(truth_Q: NDArray[np.int64], probabilities_QK: Values) -> float:
    """Return the temperature, 0.05 to 20, that makes the validation cases likeliest."""
    rows = np.arange(len(truth_Q))

    def loss(log_temperature: float) -> float:
        scaled = scale(probabilities_QK, float(np.exp(log_temperature)))
        return float(-np.log(np.maximum(scaled[rows, truth_Q], _LEAST_PROBABILITY)).mean())

    low, high = (float(np.log(limit)) for limit in _TEMPERATURES)
    return float(np.exp(minimize_scalar(loss, bounds=(low, high), method="bounded").x))


def scale(probabilities_QK: Values, temperature: float) -> Values:
    """Return the probabilities with their logits divided by `temperature`."""
    logits_QK = np.log(np.maximum(probabilities_QK, _LEAST_PROBABILITY)) / temperature
    powers_QK = np.exp(logits_QK - logits_QK.max(axis=1, keepdims=True))
    return np.asarray(powers_QK / powers_QK.sum(axis=1, keepdims=True))


def _confidence(truth_Q: NDArray[np.int64], probabilities_QK: Values) -> tuple[Values, Values]:
    right_Q = probabilities_QK.argmax(axis=1) == truth_Q
    return probabilities_QK.max(axis=1), right_Q.astype(np.float64)


def _equal_mass(confidence_Q: Values, num_bins: int) -> list[NDArray[np.int64]]:
    order = np.argsort(confidence_Q, kind="stable")
    return [rows for rows in np.array_split(order, num_bins) if len(rows)]


def _undefined(weights_SQ: Weights) -> Values:
    return np.full(len(weights_SQ), np.nan)
