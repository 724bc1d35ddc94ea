"""The retriever's deployment: searches in Milvus, off the event loop."""

from __future__ import annotations

import asyncio

from pirta.contracts.encoding import SearchRequest
from pirta.contracts.release import Release
from pirta.contracts.report import RetrievedCase
from pirta.errors import ReleaseError
from pirta.retrieval.index import Index
from pirta.retrieval.milvus import MilvusIndex
from pirta.settings import IndexSettings


class Retriever:
    """One replica: one connection. It starts without the index and finds it when it is there."""

    def __init__(self, settings: IndexSettings, release: Release) -> None:
        self._index = open_index(settings)
        self._release = release

    async def search(self, request: SearchRequest) -> tuple[RetrievedCase, ...]:
        """Return the nearest cases of other patients.

        Raises:
            UnavailableError: the index does not answer.
            ReleaseError: it holds no such collection.
        """
        return await asyncio.to_thread(self._index.search, request)

    async def ready(self) -> None:
        """Return once the release's collection answers.

        Raises:
            UnavailableError: the index does not answer.
            ReleaseError: the collection is missing or holds another number of cases.
        """
        await asyncio.to_thread(check_collection, self._index, self._release)


def open_index(settings: IndexSettings) -> MilvusIndex:
    """Return the index of the settings; nothing is connected yet."""
    return MilvusIndex(
        settings.uri, token=settings.token.get_secret_value(), timeout_s=settings.timeout_s
    )


def check_collection(index: Index, release: Release) -> None:
    """Raise ReleaseError unless the release's collection holds as many cases as it says."""
    count = index.count(release.collection)
    if count != release.num_cases:
        raise ReleaseError(
            f"The collection {release.collection} holds {count} cases, the release "
            f"{release.release_id} was made with {release.num_cases}.",
            remedy="Build the index again.",
        )
