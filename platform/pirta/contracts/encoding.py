"""What the encoder says of a prepared study, and what the retriever is asked with it.

Axis suffixes: D embedding dimensions, K the four labels in the order of `LABELS`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pirta.contracts.access import SearchPolicy

if TYPE_CHECKING:  # a contract costs pydantic and nothing more
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class EncodedStudy:
    """One study in the encoder's space.

    Attributes:
        embedding_D: float32, unit length.
        probabilities_K: float32, the classifier's softmax.
        release_id: the release whose encoder this is.
    """

    embedding_D: NDArray[np.float32]
    probabilities_K: NDArray[np.float32]
    encoder_sha256: str
    release_id: str


@dataclass(frozen=True)
class SearchRequest:
    """A search in one release's physical collection, of what the policy lets be seen."""

    release_id: str
    collection: str
    embedding_D: NDArray[np.float32]
    top_k: int
    policy: SearchPolicy = field(default_factory=SearchPolicy)
