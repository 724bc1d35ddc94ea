"""What the encoder says of a prepared study, and what the retriever is asked with it.

Axis suffixes: D embedding dimensions, K the four labels in the order of `LABELS`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # a contract costs pydantic and nothing more
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class EncodedStudy:
    """One study in the encoder's space.

    Attributes:
        embedding_D: float32, unit length.
        probabilities_K: float32, the classifier's softmax.
    """

    embedding_D: NDArray[np.float32]
    probabilities_K: NDArray[np.float32]
    encoder_sha256: str


@dataclass(frozen=True)
class SearchRequest:
    """A search in one physical collection.

    Attributes:
        exclude_patient_id: this patient's cases never come back (pseudonym).
    """

    collection: str
    embedding_D: NDArray[np.float32]
    top_k: int
    exclude_patient_id: str | None = None
