"""The retriever's deployment: searches in Milvus, off the event loop.

A replica holds the collection of every wanted release loaded in Milvus and checked; a search goes
to the collection that the request's release names, and to no other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from urllib.parse import urlsplit

from pirta.contracts.encoding import SearchRequest
from pirta.contracts.release import Release
from pirta.contracts.report import RetrievedCase
from pirta.errors import ReleaseError
from pirta.releases.memory import bytes_needed, check_memory, folder_bytes, read_free_bytes
from pirta.retrieval.index import Index
from pirta.retrieval.milvus import MilvusIndex
from pirta.retrieval.milvus_rows import HnswParameters
from pirta.settings import IndexSettings, ReleasesSettings
from serve_apps.door import is_loopback
from serve_apps.replica import hold_releases


class CollectionLoader:
    """Has a release's collection in Milvus' memory, and checks that it is the release's."""

    def __init__(self, index: Index, uri: str) -> None:
        self._index = index
        # Elsewhere the memory is not this machine's to count, and Milvus refuses by itself.
        self._is_local = is_loopback(urlsplit(uri).hostname or "")

    def key(self, release: Release) -> str:
        """Return the physical collection's name."""
        return release.collection

    def load(self, release: Release, held: Collection[Release]) -> str:
        """Return the collection's name when it can be searched.

        Raises:
            UnavailableError: the index does not answer.
            ReleaseError: there is no such collection, or it holds fewer cases than it should.
            MemoryShortError: it does not fit beside the others.
        """
        if held and self._is_local:
            needs = bytes_needed(release, held=held, folder_bytes=folder_bytes)
            check_memory({"retriever": needs["retriever"]}, free_bytes=read_free_bytes())
        self._index.load(release.collection)
        check_collection(self._index, release)
        return release.collection

    def unload(self, part: str) -> None:
        """Let Milvus have the memory back.

        Raises:
            PirtaError: the index does not answer, or the collection is gone already.
        """
        self._index.unload(part)


class Retriever:
    """One replica: one connection, and the collections of all wanted releases."""

    def __init__(self, settings: IndexSettings, releases: ReleasesSettings) -> None:
        """Load what is wanted.

        Raises:
            UnavailableError: the store or the index does not answer.
        """
        self._index = open_index(settings)
        self._releases = hold_releases(
            releases, CollectionLoader(self._index, settings.uri), deployment="Retriever"
        )

    async def search(self, request: SearchRequest) -> tuple[RetrievedCase, ...]:
        """Return the nearest cases that the request's policy lets be seen.

        Raises:
            UnknownReleaseError: this replica does not hold the release.
            UnavailableError: the index does not answer.
            ReleaseError: the release has another collection than the request.
        """
        release = self._releases.get(request.release_id).release
        if request.collection != release.collection:
            raise ReleaseError(
                f"The request names the collection {request.collection[:80]}, the release "
                f"{release.release_id} has {release.collection}.",
                remedy="Ask with the release's own collection.",
            )
        return await asyncio.to_thread(self._index.search, request)

    async def ready(self, release_id: str) -> None:
        """Return if the release's collection answers.

        Raises:
            UnknownReleaseError: this replica does not hold the release.
            UnavailableError: the index does not answer.
            ReleaseError: the collection is missing or holds fewer cases than it should.
        """
        release = self._releases.get(release_id).release
        await asyncio.to_thread(check_collection, self._index, release)

    def check_health(self) -> None:
        """Tell Serve that this replica keeps in step with the store (the name is Serve's)."""
        self._releases.check_alive()

    def __del__(self) -> None:
        if hasattr(self, "_releases"):
            self._releases.stop()


def open_index(settings: IndexSettings) -> MilvusIndex:
    """Return the index of the settings; nothing is connected yet."""
    return MilvusIndex(
        settings.uri,
        token=settings.token.get_secret_value(),
        timeout_s=settings.timeout_s,
        load_timeout_s=settings.load_timeout_s,
        hnsw=HnswParameters(
            m=settings.hnsw_m,
            ef_construction=settings.hnsw_ef_construction,
            ef=settings.hnsw_ef,
        ),
    )


def check_collection(index: Index, release: Release) -> None:
    """Raise ReleaseError where the release's collection holds fewer cases than it was made with.

    It may hold more: newly signed reports join a live collection.
    """
    count = index.count(release.collection)
    if count < release.num_cases:
        raise ReleaseError(
            f"The collection {release.collection} holds {count} cases, the release "
            f"{release.release_id} was made with {release.num_cases}.",
            remedy="Build the release again: it fills what is missing.",
        )
