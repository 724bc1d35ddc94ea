"""Flip requests to another release, and let the Milvus alias follow for people.

The flip is one compare-and-swap in the store; the gateway sees it with its next request. The alias
is for outside readers only and no request uses it, so that a Milvus that does not answer holds up
neither a switch nor a rollback.
"""

from __future__ import annotations

from dataclasses import dataclass

from pirta.errors import PirtaError
from pirta.releases.store import ReleaseStore
from pirta.releases.stored import Activation
from pirta.retrieval.index import Index

ALIAS = "pirta_active"


@dataclass(frozen=True)
class Switched:
    """A switch that was made.

    Attributes:
        alias_problem: why the alias did not follow; empty where it did.
    """

    activation: Activation
    alias_problem: str


def activate_release(
    release_id: str,
    *,
    releases: ReleaseStore,
    index: Index,
    expected_version: int | None,
    actor: str,
) -> Switched:
    """Serve a staged release from the next request on; the one before stays warm.

    Args:
        expected_version: the activation's version that the operator saw (0 for none yet), so
            that of two at once only one wins; None takes what is there now.

    Raises:
        UnknownReleaseError, ReleaseStateError: there is none of this id, or it is not staged.
        ActivationConflictError: somebody else switched in between.
    """
    activation = releases.activate(release_id, expected_version=expected_version, actor=actor)
    return Switched(activation, _move_alias(activation, releases, index))


def roll_back(
    *, releases: ReleaseStore, index: Index, expected_version: int | None, actor: str
) -> Switched:
    """Serve the release before again, from the next request on.

    Raises:
        NoActiveReleaseError, ReleaseStateError: there is none before, or it is not warm any more.
        ActivationConflictError: somebody else switched in between.
    """
    activation = releases.rollback(expected_version=expected_version, actor=actor)
    return Switched(activation, _move_alias(activation, releases, index))


def _move_alias(activation: Activation, releases: ReleaseStore, index: Index) -> str:
    collection = releases.get(activation.release_id).release.collection
    try:
        index.set_alias(ALIAS, collection)
    except PirtaError as error:
        return f"The alias {ALIAS} does not lead to {collection} yet. {error}"
    return ""
