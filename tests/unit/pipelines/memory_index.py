"""An index whose memory is told: which collections are loaded, and which cannot be."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pirta.contracts.finding import NORMAL_SENTENCE, Label
from pirta.errors import UnavailableError
from pirta.retrieval.exact import ExactIndex
from pirta.retrieval.index import IndexRow, patient_key


class MemoryIndex(ExactIndex):
    """Loads a collection at the first question to it, as Milvus does.

    Attributes:
        loaded: the collections in memory.
        too_large: those that a question cannot bring there.
        is_away: no question is answered at all.
    """

    def __init__(self) -> None:
        super().__init__()
        self.loaded: set[str] = set()
        self.too_large: set[str] = set()
        self.is_away = False

    def exists(self, collection: str) -> bool:
        self._answer()
        return super().exists(collection)

    def get(self, collection: str, case_ids: Sequence[str]) -> tuple[IndexRow, ...]:
        self.load(collection)
        return super().get(collection, case_ids)

    def load(self, collection: str) -> None:
        self._answer()
        if collection in self.too_large:
            raise UnavailableError(f"No room for {collection}.", remedy="Give it room.")
        super().load(collection)
        self.loaded.add(collection)

    def unload(self, collection: str) -> None:
        self._answer()
        super().unload(collection)
        self.loaded.discard(collection)

    def _answer(self) -> None:
        if self.is_away:
            raise UnavailableError("The index does not answer.", remedy="Start it.")


def row_of(case_id: str) -> IndexRow:
    """Return a row of four dimensions."""
    return IndexRow(
        case_id=case_id,
        patient_key=patient_key(case_id),
        site="site-a",
        scanner="scanner-a",
        label=Label.NORMAL,
        finding=None,
        findings_text=NORMAL_SENTENCE,
        report_text="",
        origin="build",
        release_id="",
        added_on="2026-01-01",
        embedding_D=np.array([1, 0, 0, 0], np.float32),
    )
