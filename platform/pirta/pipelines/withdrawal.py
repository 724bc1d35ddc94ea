"""Hide a case from every search at once, and say which reports cited it.

The store alone decides what is hidden; the index is only asked whether the case exists, so that a
misspelt id does not pass for a withdrawal. It is asked in the collections that replicas hold
first, since a question to any other one brings that into Milvus's memory; those are let go again.
"""

from __future__ import annotations

from dataclasses import dataclass

from pirta.errors import CaseUnknownError, InputError, PirtaError, UnavailableError
from pirta.pipelines.collection_memory import free_memory
from pirta.pipelines.phi_patterns import phi_kinds
from pirta.releases.store import ReleaseStore
from pirta.releases.stored import Citation
from pirta.retrieval.index import Index

_NAMED_COLLECTIONS = 5


@dataclass(frozen=True)
class Withdrawal:
    """A case that is hidden from now on.

    Attributes:
        citations: the reports that cited it, the oldest first.
        memory_problem: why Milvus still holds what was loaded for the look; empty where it let go.
    """

    citations: tuple[Citation, ...]
    memory_problem: str


def withdraw_case(
    case_id: str,
    *,
    reason: str,
    releases: ReleaseStore,
    index: Index | None,
    actor: str,
) -> Withdrawal:
    """Withdraw a case from every release, and return the reports that cited it.

    Args:
        index: where the case is looked for first; None withdraws whatever the id names, which
            also works while the index does not answer.

    Raises:
        InputError: the reason is empty, or seems to identify a person: it is kept for good.
        CaseUnknownError: no release's collection holds the case; without any release it is refused
            in each case, since that is most likely the wrong store.
        UnavailableError: the store does not answer, or the index cannot say whether it holds the
            case; the case is still to be seen.
    """
    if not reason.strip():
        raise InputError("A withdrawal needs a reason.", remedy="Say why, without naming anyone.")
    if kinds := phi_kinds(reason):
        raise InputError(
            f"The reason seems to identify a person ({', '.join(kinds)}).",
            remedy="Say it without names, dates and numbers: it is kept for good.",
        )
    if not releases.collections():
        raise CaseUnknownError(
            f"The release store {releases.name} holds no release, so there is no case to withdraw.",
            remedy="Check the settings: releases.store_url names the store that is served from.",
        )
    if index is None:
        return Withdrawal(releases.withdraw(case_id, reason=reason, actor=actor), "")
    look = _Look(case_id, releases, index)
    try:
        look.find()
        citations = releases.withdraw(case_id, reason=reason, actor=actor)
    finally:
        memory_problem = look.let_go()
    return Withdrawal(citations, memory_problem)


class _Look:
    """The search for one case in every release's collection."""

    def __init__(self, case_id: str, releases: ReleaseStore, index: Index) -> None:
        self._case_id, self._releases, self._index = case_id, releases, index
        self._loaded: list[str] = []

    def find(self) -> None:
        """Return if a collection holds the case; the others are not asked any more.

        Raises:
            CaseUnknownError: all were asked, and none does.
            UnavailableError: none that answered does, and some did not; or the index is away.
        """
        uses = self._releases.collections()
        wanted = {use.collection for use in uses if use.is_wanted}
        others = {use.collection for use in uses} - wanted
        silent: list[str] = []
        for collection in (*sorted(wanted), *sorted(others)):
            if not self._index.exists(collection):  # an index that is away altogether says so here
                continue
            if collection in others:
                self._loaded.append(collection)
            try:
                if self._index.get(collection, [self._case_id]):
                    return
            except UnavailableError:  # this one cannot be loaded, or not in time
                silent.append(collection)
        name = self._case_id[:64]
        if silent:
            more = " and more" if silent[_NAMED_COLLECTIONS:] else ""
            raise UnavailableError(
                f"Whether there is a case '{name}' is not known: no collection that answered holds "
                f"it, and {len(silent)} did not ({', '.join(silent[:_NAMED_COLLECTIONS])}{more}).",
                remedy="Try again once Milvus can load them; --anyway withdraws it all the same.",
            )
        raise CaseUnknownError(
            f"No release's index holds a case '{name}'.",
            remedy="Check the id; --anyway withdraws it all the same, before it is indexed.",
        )

    def let_go(self) -> str:
        """Unload what was loaded for the look; return why that was not done, empty where it was."""
        problem = ""
        for collection in self._loaded:
            try:
                free_memory(collection=collection, index=self._index, releases=self._releases)
            except PirtaError as error:  # no reason to tell of a withdrawal as of a failure
                problem = f"Milvus may still hold {collection} in memory. {error}"
        return problem
