"""Hide a case from every search at once, and say which reports cited it.

The store alone decides what is hidden; the index is only asked whether the case exists, so that a
misspelt id does not pass for a withdrawal.
"""

from __future__ import annotations

from pirta.errors import CaseUnknownError, InputError
from pirta.pipelines.phi_patterns import phi_kinds
from pirta.releases.store import ReleaseStore
from pirta.releases.stored import Citation
from pirta.retrieval.index import Index


def withdraw_case(
    case_id: str,
    *,
    reason: str,
    releases: ReleaseStore,
    index: Index | None,
    actor: str,
) -> tuple[Citation, ...]:
    """Withdraw a case from every release, and return the reports that cited it.

    Args:
        index: where the case is looked for first; None withdraws whatever the id names, which
            also works while the index does not answer.

    Raises:
        InputError: the reason is empty, or seems to identify a person: it is kept for good.
        CaseUnknownError: no release's collection holds the case.
        UnavailableError: the index or the store does not answer; the case is still to be seen.
    """
    if not reason.strip():
        raise InputError("A withdrawal needs a reason.", remedy="Say why, without naming anyone.")
    if kinds := phi_kinds(reason):
        raise InputError(
            f"The reason seems to identify a person ({', '.join(kinds)}).",
            remedy="Say it without names, dates and numbers: it is kept for good.",
        )
    if index is not None and not _is_indexed(case_id, releases, index):
        raise CaseUnknownError(
            f"No release's index holds a case '{case_id[:64]}'.",
            remedy="Check the id; --anyway withdraws it all the same, before it is indexed.",
        )
    return releases.withdraw(case_id, reason=reason, actor=actor)


def _is_indexed(case_id: str, releases: ReleaseStore, index: Index) -> bool:
    collections = {
        stored.release.collection for stored in releases.list() if stored.state != "dropped"
    }
    return any(
        index.get(collection, [case_id])
        for collection in sorted(collections)
        if index.exists(collection)
    )
