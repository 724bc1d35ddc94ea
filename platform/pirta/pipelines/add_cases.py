"""Newly signed reports into a release that is served: an upsert, seen by the next search.

No new release: the record names what it was built from, and rows that came later say so
themselves (`origin` "live"). They are embedded by the release's own encoder, or not at all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pirta.cohort.store_files import join
from pirta.contracts.release import Release
from pirta.errors import (
    DuplicateCaseError,
    NoActiveReleaseError,
    ReleaseError,
    ReleaseStateError,
)
from pirta.pipelines.cohort_rows import cohort_cases, index_rows
from pirta.pipelines.kept_embeddings import EMBEDDINGS, embed_resumably
from pirta.releases.store import ReleaseStore
from pirta.retrieval.index import Index, IndexRow, row_sha256
from pirta.settings import Settings

_OPEN_STATES = ("built", "verified", "staging", "staged", "active")
# Another batch changes an embedding's last bits; another image changes far more.
_SAME_WITHIN = 1e-4
_NAMED_CASES = 5


@dataclass(frozen=True)
class AddedCases:
    """What became of the cases that were handed over.

    Attributes:
        num_unchanged: were there already, with the same content.
        num_withdrawn: have been withdrawn, and were left out.
    """

    release_id: str
    collection: str
    num_added: int
    num_replaced: int
    num_unchanged: int
    num_withdrawn: int


def add_cases(
    store: str,
    *,
    settings: Settings,
    index: Index,
    releases: ReleaseStore,
    actor: str,
    split: str | None,
    release_id: str | None = None,
    replace: bool = False,
    embeddings: str | None = None,
    num_workers: int = 1,
    on_progress: Callable[[int, int], None] | None = None,
) -> AddedCases:
    """Write a prepared store's cases into the collection of a release, the active one where None.

    Args:
        replace: let a live case take the place of an earlier one of its id.

    Raises:
        NoActiveReleaseError: no release is named, and none is active.
        ReleaseStateError: the release is on its way out.
        FingerprintError: the store was prepared otherwise than the release's index.
        DuplicateCaseError: an id is there already with other content. What the release was built
            from stands in its record and is never replaced: withdraw the case and build anew.
        ManifestError, CheckpointError, ReleaseError, StoreError, UnavailableError: as a build.
    """
    release = _release_to_fill(releases, release_id)
    cases = cohort_cases(store, split)
    withdrawn = releases.withdrawn()
    embedded = embed_resumably(
        cases,
        store=store,
        folder=embeddings or join(store, EMBEDDINGS),
        encoder=settings.encoder.model_copy(update={"path": Path(release.encoder_path)}),
        left_out=withdrawn,
        num_workers=num_workers,
        on_progress=on_progress,
    )
    if embedded.encoder_sha256 != release.encoder_sha256:
        raise ReleaseError(
            f"The encoder in {release.encoder_path} is {embedded.encoder_sha256[:12]}, "
            f"{release.release_id} was made with {release.encoder_sha256[:12]}.",
            remedy="Put the release's own encoder there.",
        )
    rows = index_rows(embedded, origin="live", release_id=release.release_id)
    known = {
        row.case_id: row for row in index.get(release.collection, [row.case_id for row in rows])
    }
    added = [row for row in rows if row.case_id not in known]
    changed = [
        row for row in rows if row.case_id in known and not is_same_case(row, known[row.case_id])
    ]
    _check_changed([known[row.case_id] for row in changed], replace=replace)
    if added or changed:
        # Before: rows that came from nobody would be worse than a note of rows that did not come.
        words = f"{len(added)} new, {len(changed)} replaced"
        releases.note_cases(release.release_id, actor=actor, detail=words)
        index.upsert(release.collection, [*added, *changed])
    return AddedCases(
        release_id=release.release_id,
        collection=release.collection,
        num_added=len(added),
        num_replaced=len(changed),
        num_unchanged=len(rows) - len(added) - len(changed),
        num_withdrawn=len(cases) - len(rows),
    )


def is_same_case(left: IndexRow, right: IndexRow) -> bool:
    """Say whether two rows of one id tell the same of the same image."""
    same_vector = IndexRow(**{**vars(right), "embedding_D": left.embedding_D})
    return row_sha256(left) == row_sha256(same_vector) and np.allclose(
        left.embedding_D, right.embedding_D, rtol=0, atol=_SAME_WITHIN
    )


def _release_to_fill(releases: ReleaseStore, release_id: str | None) -> Release:
    if release_id is None:
        active = releases.active()
        if active is None:
            raise NoActiveReleaseError(
                "No release is active, and none is named.",
                remedy="Name one by --release, or activate one.",
            )
        release_id = active.release_id
    stored = releases.get(release_id)
    if stored.state not in _OPEN_STATES:
        raise ReleaseStateError(
            f"{release_id} is {stored.state}, and takes no case any more.",
            remedy="Name a release that is, or can be, served.",
        )
    return stored.release


def _check_changed(known: Sequence[IndexRow], *, replace: bool) -> None:
    built = [row.case_id for row in known if row.origin == "build"]
    if built:
        raise DuplicateCaseError(
            f"{len(built)} case(s) belong to what the release was built from, with other content: "
            f"{', '.join(built[:_NAMED_CASES])}. Nothing was written.",
            remedy="Withdraw the old case and add the new one under its own id, or build a new "
            "release.",
        )
    if known and not replace:
        names = [row.case_id for row in known]
        raise DuplicateCaseError(
            f"{len(names)} case(s) are in the index already with other content: "
            f"{', '.join(names[:_NAMED_CASES])}. Nothing was written.",
            remedy="Give a new case a new id, or replace the old one by --replace.",
        )
