"""Flip requests to another release, and let the Milvus alias follow for people.

The flip is one compare-and-swap in the store; the gateway sees it with its next request. Right
before it the replicas' last reports are read: none that lives may lack the release. The alias
is for outside readers only and no request uses it, so that a Milvus that does not answer holds up
neither a switch nor a rollback.
"""

from __future__ import annotations

from dataclasses import dataclass

from pirta.errors import PirtaError
from pirta.pipelines.staging import check_replicas
from pirta.releases.store import ReleaseStore
from pirta.releases.stored import Activation
from pirta.retrieval.index import Index
from pirta.settings import Settings

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
    settings: Settings,
    expected_version: int | None,
    actor: str,
) -> Switched:
    """Switch as `flip` does, and return when the alias has followed or cannot."""
    activation = flip(
        release_id,
        releases=releases,
        settings=settings,
        expected_version=expected_version,
        actor=actor,
    )
    return Switched(activation, follow_alias(releases, index))


def roll_back(
    *,
    releases: ReleaseStore,
    index: Index,
    settings: Settings,
    expected_version: int | None,
    actor: str,
) -> Switched:
    """Switch back as `flip_back` does, and return when the alias has followed or cannot."""
    activation = flip_back(
        releases=releases, settings=settings, expected_version=expected_version, actor=actor
    )
    return Switched(activation, follow_alias(releases, index))


def flip(
    release_id: str,
    *,
    releases: ReleaseStore,
    settings: Settings,
    expected_version: int | None,
    actor: str,
) -> Activation:
    """Serve a staged release from the next request on; the one before stays warm.

    Args:
        expected_version: the activation's version that the operator saw (0 for none yet), so
            that of two at once only one wins; None takes what is there now.

    Raises:
        UnknownReleaseError, ReleaseStateError: there is none of this id, or it is not staged.
        ReplicasNotReadyError: a replica that lives does not hold it.
        ActivationConflictError: somebody else switched in between.
    """
    _check_staged(release_id, releases, settings)
    return releases.activate(release_id, expected_version=expected_version, actor=actor)


def flip_back(
    *, releases: ReleaseStore, settings: Settings, expected_version: int | None, actor: str
) -> Activation:
    """Serve the release before again, from the next request on.

    Raises:
        ReleaseStateError: there is none before, or it is not staged any more.
        ReplicasNotReadyError: a replica that lives does not hold it.
        ActivationConflictError: somebody else switched in between.
    """
    now = releases.active()
    if now is not None and now.previous_release_id is not None:
        _check_staged(now.previous_release_id, releases, settings)
    return releases.rollback(expected_version=expected_version, actor=actor)


def follow_alias(releases: ReleaseStore, index: Index) -> str:
    """Have the alias lead to what is active now; return why it does not, empty where it does.

    What is active is read before and after: whoever moves the alias last has moved it to the last
    switch, in whatever order several move it.
    """
    try:
        active = releases.active()
        while active is not None:
            index.set_alias(ALIAS, releases.get(active.release_id).release.collection)
            before, active = active, releases.active()
            if active == before:
                break
    except PirtaError as error:
        return f"The alias {ALIAS} does not lead to what is active yet. {error}"
    return ""


def _check_staged(release_id: str, releases: ReleaseStore, settings: Settings) -> None:
    """Look at the replicas where the switch could be made; its own refusals go before."""
    if releases.get(release_id).state == "staged":
        check_replicas(release_id, releases=releases, settings=settings)
