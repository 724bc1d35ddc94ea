"""The store of releases as an event loop may use it: every question in a thread of its own pool.

The pool is the gateway's own, so that a store that hangs cannot take the threads of others. What
asks the index besides, for operators, has a second one: a Milvus that hangs takes no thread from
the requests for reports.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from pirta.contracts.release import Release
from pirta.errors import NoActiveReleaseError
from pirta.releases.store import ReleaseStore
from pirta.releases.stored import Ticket

_THREADS = 8
_INDEX_THREADS = 2

Answer = TypeVar("Answer")


class StoreAccess:
    """Asks the store off the event loop."""

    def __init__(self, store: ReleaseStore) -> None:
        self._store = store
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="release-store")
        self._index_pool = ThreadPoolExecutor(_INDEX_THREADS, thread_name_prefix="index-work")

    async def ask(self, question: Callable[[ReleaseStore], Answer]) -> Answer:
        """Return the answer to a question of the store.

        Raises:
            PirtaError: what the store raised; UnavailableError where it does not answer.
        """
        return await asyncio.get_running_loop().run_in_executor(self._pool, question, self._store)

    async def ask_with_index(self, question: Callable[[ReleaseStore], Answer]) -> Answer:
        """Return the answer to an operator's question that asks the index as well.

        Raises:
            PirtaError: what the store or the index raised.
        """
        going = asyncio.get_running_loop()
        return await going.run_in_executor(self._index_pool, question, self._store)

    def begin_index_work(self, work: Callable[[ReleaseStore], object]) -> Future[object]:
        """Begin work on the index that no answer waits for; it ends whatever becomes of its caller.

        Returns:
            What tells of its end; who begins it sees to its failures.
        """
        return self._index_pool.submit(work, self._store)

    async def begin_request(self, request_id: str, *, ttl_s: float) -> Ticket:
        """Return the active release and what is withdrawn; from now on the release has a lease.

        Raises:
            NoActiveReleaseError: there is none.
        """
        return await self.ask(lambda store: store.begin_request(request_id, ttl_s=ttl_s))

    async def end_request(
        self, request_id: str, *, study_id: str | None = None, cited: Sequence[str] = ()
    ) -> frozenset[str]:
        """End the lease and keep which study cited which cases.

        Returns:
            Those of them that were withdrawn meanwhile. Where there are any nothing was kept, and
            the report must not go out.
        """
        return await self.ask(
            lambda store: store.end_request(request_id, study_id=study_id, cited=tuple(cited))
        )

    async def active_release(self) -> Release:
        """Return the release that new requests get.

        Raises:
            NoActiveReleaseError: there is none.
        """
        return await self.ask(active_release)


def active_release(store: ReleaseStore) -> Release:
    """Return the active release.

    Raises:
        NoActiveReleaseError: there is none.
    """
    active = store.active()
    if active is None:
        raise NoActiveReleaseError(
            "No release is active.",
            remedy="Build, verify, stage and activate one: `pirta release --help`.",
        )
    return store.get(active.release_id).release
