"""Whose cases a search may bring back.

Made by the server alone, from the request's token, the study's patient and the store of releases.
A client can only narrow it, by a name more for the patient. Every search path applies the whole
policy, and checks its answer against it.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class SearchPolicy:
    """What one search may see. Ids are pseudonyms.

    Attributes:
        sites: only these sites' cases are seen; None is the whole network, empty is nobody.
        exclude_patient_ids: cases of a patient of these names never come back: all the names that
            the study's patient is known by.
        withdrawn: case ids that never come back, in any release.
        min_similarity: cosine below which a case is no evidence, in [-1, 1].
        min_patients: distinct patients that the answer holds at least; nearer cases of a
            patient who is there already make room.
    """

    sites: frozenset[str] | None = None
    exclude_patient_ids: frozenset[str] = frozenset()
    withdrawn: frozenset[str] = frozenset()
    min_similarity: float = -1.0
    min_patients: int = 1

    def __post_init__(self) -> None:
        assert -1.0 <= self.min_similarity <= 1.0, self.min_similarity
        assert self.min_patients >= 1, self.min_patients
