"""Studies after the encoder: who they are, what is known of them, and what the encoder said.

Columns of equal length, so that a figure is arithmetic on arrays. Nothing is read or embedded
here.

Axis suffixes: Q cases, D embedding (unit length), K classes in the order of `LABELS`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from pirta.contracts.finding import LABELS, Label

_NORMAL = LABELS.index(Label.NORMAL)


@dataclass(frozen=True)
class EmbeddedCases:
    """Cases with embedding and probabilities; every column has one entry a case.

    Attributes:
        datasets: the name under which the evaluation knows the data that a case came with.
        truths_Q: index in `LABELS`.
        lesion_ml_Q: 0 for a normal study; NaN where a lesion's volume is not known.

    Raises:
        ValueError: the columns differ in length.
    """

    case_ids: NDArray[np.str_]
    patient_ids: NDArray[np.str_]
    datasets: NDArray[np.str_]
    sites: NDArray[np.str_]
    scanners: NDArray[np.str_]
    truths_Q: NDArray[np.int64]
    lesion_ml_Q: NDArray[np.float64]
    embeddings_QD: NDArray[np.float32]
    probabilities_QK: NDArray[np.float64]

    def __post_init__(self) -> None:
        lengths = {field.name: len(getattr(self, field.name)) for field in fields(self)}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"columns of different lengths: {lengths}")

    def __len__(self) -> int:
        return len(self.case_ids)

    def take(self, rows: NDArray[np.int64] | NDArray[np.bool_]) -> EmbeddedCases:
        """Return some of the cases, by row numbers or by a mask."""
        return EmbeddedCases(*(getattr(self, field.name)[rows] for field in fields(self)))

    @property
    def called_Q(self) -> NDArray[np.int64]:
        """The encoder's own class: the likeliest."""
        return np.asarray(self.probabilities_QK.argmax(axis=1), dtype=np.int64)

    @property
    def is_stroke_Q(self) -> NDArray[np.bool_]:
        """True for every case that is not normal."""
        return np.asarray(self.truths_Q != _NORMAL)

    @property
    def lesion_scores_Q(self) -> NDArray[np.float64]:
        """The probability of any acute lesion: 1 less that of `normal`."""
        return np.asarray(1.0 - self.probabilities_QK[:, _NORMAL])

    @property
    def num_patients(self) -> int:
        """Different patients."""
        return len(np.unique(self.patient_ids))


def join_cases(parts: Sequence[EmbeddedCases]) -> EmbeddedCases:
    """Return all cases of the parts, in their order; at least one part."""
    names = [field.name for field in fields(EmbeddedCases)]
    return EmbeddedCases(
        *(np.concatenate([getattr(part, name) for part in parts]) for name in names)
    )
