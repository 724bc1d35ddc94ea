"""What the release store hands out: releases with their state, switches, events, replicas.

Frozen values, read in one transaction each; nothing of them reads the store again. Times are UTC.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict

from pirta.contracts.release import GateResult, Release
from pirta.releases.states import WANTED_STATES, State


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class StoredRelease(_Frozen):
    """A release, where it stands, and what the last verification measured."""

    release: Release
    state: State
    pinned: bool
    created_at: datetime
    gates: tuple[GateResult, ...] = ()

    @property
    def release_id(self) -> str:
        """The release's own id."""
        return self.release.release_id


class UnreadableRelease(_Frozen):
    """A release whose record or gates cannot be read; `problem` says why, `remedy` what to do."""

    release_id: str
    state: State
    pinned: bool
    created_at: datetime
    problem: str
    remedy: str


class Listing(_Frozen):
    """All releases, the oldest first; what cannot be read stands apart and hides no other."""

    releases: tuple[StoredRelease, ...]
    unreadable: tuple[UnreadableRelease, ...] = ()


class CollectionUse(_Frozen):
    """A release's physical collection, told without reading its record."""

    release_id: str
    collection: str
    state: State

    @property
    def is_wanted(self) -> bool:
        """Return whether replicas hold the release, and Milvus its collection."""
        return self.state in WANTED_STATES


class Activation(_Frozen):
    """The last switch: what is active, what was before it, and who did it when.

    Attributes:
        version: number of switches so far; hand it to the next switch as `expected_version`.
    """

    release_id: str
    previous_release_id: str | None
    version: int
    actor: str
    at: datetime


class Event(_Frozen):
    """Something that somebody did to a release or a case."""

    at: datetime
    actor: str
    step: str
    release_id: str | None
    detail: str


class Citation(_Frozen):
    """A study whose report cited a case."""

    study_id: str
    case_id: str
    request_id: str
    release_id: str | None
    at: datetime


class Load(_Frozen):
    """How far a replica is with a release; the message says why it failed."""

    state: Literal["loading", "ready", "failed"]
    message: str = ""


class Replica(_Frozen):
    """A replica as of its last beat; `loads` is what it says of each release, by id."""

    replica_id: str
    deployment: str
    beat_at: datetime
    loads: dict[str, Load]


@dataclass(frozen=True)
class Ticket:
    """What a request goes by from its first hop to its last. No hop reads it anew.

    Attributes:
        withdrawn: cases that this request's searches may not bring back.
    """

    request_id: str
    release: Release
    withdrawn: frozenset[str]
