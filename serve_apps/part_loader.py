"""What a replica's releases are made of: who loads a part of one, and who says which are wanted.

Protocols only; `loaded_releases` drives them, the encoder, the retriever and the writer bring the
loaders, and the release store is the watch.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Protocol, TypeVar

from pirta.contracts.release import Release
from pirta.releases.stored import Activation, Load

Part = TypeVar("Part")


class PartLoader(Protocol[Part]):
    """Loads and lets go of one deployment's part of a release."""

    def key(self, release: Release) -> str:
        """Return what the part is made from: releases of equal keys share one part."""
        ...

    def load(self, release: Release, held: Collection[Release]) -> Part:
        """Return the part, ready to work beside those of the releases that are held.

        Args:
            held: whose memory has to be left; empty for the first, and for the active one, which
                is loaded without asking.

        Raises:
            UnavailableError: something that it needs does not answer yet; tried again soon.
            PirtaError: it cannot be loaded as things are; the operator is told.
        """
        ...

    def unload(self, part: Part) -> None:
        """Let go of a part that no release needs any more."""
        ...


class ReleaseWatch(Protocol):
    """What a replica asks and tells the store of releases."""

    def wanted(self) -> tuple[Release, ...]:
        """Return the releases that every replica has to hold, the active one first."""
        ...

    def active(self) -> Activation | None:
        """Return which release is active."""
        ...

    def beat(self, replica_id: str, deployment: str, loads: Mapping[str, Load]) -> None:
        """Report that this replica lives, and what it holds."""
        ...

    def forget_replica(self, replica_id: str) -> None:
        """Take back this replica's reports."""
        ...
