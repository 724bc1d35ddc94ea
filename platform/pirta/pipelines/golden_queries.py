"""Held-out studies with known answers, asked of a release: how often is the nearest case right?

The studies never stand in the index, and the asking patient's own cases do not count, as in
service. The search is the one that a report makes, with the release's own calibration.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pirta.cohort.prepared_store import PreparedCase
from pirta.cohort.store_files import join
from pirta.contracts.access import SearchPolicy
from pirta.contracts.encoding import SearchRequest
from pirta.contracts.release import Release
from pirta.contracts.report import RetrievedCase
from pirta.errors import NoNeighboursError, ReleaseError
from pirta.pipelines.embed import EmbeddedCases
from pirta.pipelines.kept_embeddings import EMBEDDINGS, embed_resumably
from pirta.retrieval.index import Index
from pirta.settings import Settings


@dataclass(frozen=True)
class GoldenAnswer:
    """One held-out study and what the release would show for it; nothing where it sees no case."""

    query: PreparedCase
    evidence: tuple[RetrievedCase, ...]

    @property
    def is_right(self) -> bool:
        """Whether the nearest case has the study's label."""
        return bool(self.evidence) and self.evidence[0].label is self.query.case.label


def ask_golden(
    release: Release,
    cases: Sequence[PreparedCase],
    *,
    store: str,
    embeddings: str | None,
    settings: Settings,
    index: Index,
    withdrawn: frozenset[str],
    num_workers: int = 1,
    on_progress: Callable[[int, int], None] | None = None,
) -> list[GoldenAnswer]:
    """Embed the studies with the release's own encoder and search its collection.

    Raises:
        FingerprintError: the store was prepared otherwise than the release's encoder wants.
        CheckpointError, ManifestError, StoreError: the encoder or the store cannot be used.
        ReleaseError: the encoder's folder holds another encoder, or the index lacks the collection.
        UnavailableError: the index does not answer.
    """
    embedded = embed_resumably(
        cases,
        store=store,
        folder=embeddings or join(store, EMBEDDINGS),
        encoder=settings.encoder.model_copy(update={"path": Path(release.encoder_path)}),
        num_workers=num_workers,
        on_progress=on_progress,
    )
    if embedded.encoder_sha256 != release.encoder_sha256:
        # Its answers would be another encoder's, in a collection that is not that one's.
        raise ReleaseError(
            f"The encoder in {release.encoder_path} is {embedded.encoder_sha256[:12]}, "
            f"{release.release_id} was made with {release.encoder_sha256[:12]}.",
            remedy="Put the release's own encoder there.",
        )
    return _answers(release, embedded, index=index, settings=settings, withdrawn=withdrawn)


def precision_at_1(answers: Sequence[GoldenAnswer]) -> float:
    """Return the share of studies whose nearest case has their label; none found is wrong."""
    return sum(answer.is_right for answer in answers) / len(answers)


def _answers(
    release: Release,
    embedded: EmbeddedCases,
    *,
    index: Index,
    settings: Settings,
    withdrawn: frozenset[str],
) -> list[GoldenAnswer]:
    answers = []
    for query, embedding_D in zip(embedded.cases, embedded.embeddings_ND, strict=True):
        policy = SearchPolicy(
            exclude_patient_ids=frozenset({query.case.patient_id}),
            withdrawn=withdrawn,
            min_similarity=release.calibration.min_similarity,
            min_patients=release.calibration.min_patients,
        )
        top_k = release.calibration.num_neighbours(settings.index.top_k)
        request = SearchRequest(release.release_id, release.collection, embedding_D, top_k, policy)
        try:
            evidence = index.search(request)
        except NoNeighboursError:
            evidence = ()
        answers.append(GoldenAnswer(query, evidence))
    return answers
