"""The end of a release: no new request, the last one out, then unloaded, and dropped on demand.

Retiring waits for the requests that are still on their way with the release; the replicas let go
of it by themselves. Dropping removes its Milvus collection as well, where nobody needs it. Both
may be killed and called again.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from pirta.errors import PirtaError, UnavailableError
from pirta.pipelines.collection_memory import free_memory
from pirta.releases.states import State
from pirta.releases.store import ReleaseStore
from pirta.retrieval.index import Index
from pirta.settings import Settings

_LOOK_AGAIN_S = 0.25

OnProgress = Callable[[int, int], None]
"""Called as `on_progress(requests on their way, the most of them so far)`."""


def retire_release(
    release_id: str,
    *,
    releases: ReleaseStore,
    index: Index,
    settings: Settings,
    actor: str,
    on_progress: OnProgress | None = None,
) -> str:
    """Let a release drain and retire; one that is retired already stays as it is.

    Its collection leaves Milvus's memory where no other release needs it there: the replicas let
    go of what they hold, but one that never came to hold it, or was killed, unloads nothing.

    Returns:
        Why Milvus may still hold the collection; empty where it let go. Calling again mends it.

    Raises:
        UnknownReleaseError: there is none of this id.
        ReleaseStateError: it is active, or was never verified.
        UnavailableError: requests were still on their way after `releases.drain_timeout_s`; the
            release goes on draining, and calling this again goes on.
    """
    stored = releases.get(release_id)
    if stored.state != "retired":
        _drain(release_id, stored.state, releases, settings, actor, on_progress)
    return _unload(stored.release.collection, releases, index)


def _drain(
    release_id: str,
    state: State,
    releases: ReleaseStore,
    settings: Settings,
    actor: str,
    on_progress: OnProgress | None,
) -> None:
    if state != "draining":
        releases.begin_retirement(release_id, actor=actor)
    timeout_s = settings.releases.drain_timeout_s
    deadline_s = time.monotonic() + timeout_s
    most = 0
    while num_left := releases.in_flight(release_id):
        most = max(most, num_left)
        if on_progress is not None:
            on_progress(num_left, most)
        if time.monotonic() > deadline_s:
            raise UnavailableError(
                f"{num_left} request(s) with {release_id} are still on their way after "
                f"{timeout_s:g} s; it goes on draining.",
                remedy="Retire it again later: a request that was lost is forgotten when its "
                "lease ends.",
            )
        time.sleep(_LOOK_AGAIN_S)
    releases.finish_retirement(release_id)


def _unload(collection: str, releases: ReleaseStore, index: Index) -> str:
    try:
        if index.exists(collection):
            free_memory(collection=collection, index=index, releases=releases)
    except PirtaError as error:  # the release has retired all the same
        return f"Milvus may still hold {collection} in memory. {error}"
    return ""


def drop_release(release_id: str, *, releases: ReleaseStore, index: Index, actor: str) -> None:
    """Mark a retired release as dropped, then remove its collection.

    Marked first: no release may name a collection that is gone. A kill in between leaves a
    collection that nothing uses, and calling this again removes it.

    Raises:
        UnknownReleaseError: there is none of this id.
        ReleaseStateError: it is not retired, or it is pinned.
        CollectionInUseError: an alias leads to the collection, or another release has it too.
        UnavailableError: the index does not answer.
    """
    collection = releases.get(release_id).release.collection
    is_there = index.exists(collection)
    aliases = index.aliases(collection) if is_there else ()
    releases.mark_dropped(release_id, actor=actor, aliases=aliases)
    if is_there and not _has_users(collection, releases):
        index.drop(collection)


def _has_users(collection: str, releases: ReleaseStore) -> bool:
    """Say whether a release needs the collection: one of the same content may have come since."""
    return any(use.collection == collection for use in releases.collections())
