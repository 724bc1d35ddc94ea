"""The release store: one durable place for what is served, by whom, and what nobody may see.

`ReleaseStore` puts the store's parts together for the callers: the command line, the build jobs,
the gateway, every replica. All of it is plain blocking calls, safe from many threads and many
processes; async code runs them in a thread. Each method is one transaction, and every one raises
`UnavailableError` where the database does not answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pirta.contracts.release import GateResult, Release
from pirta.releases import activation, lifecycle, records, replicas, withdrawals
from pirta.releases.database import Clock, Database
from pirta.releases.events import read_events
from pirta.releases.migrate import migrate
from pirta.releases.requests import Requests
from pirta.releases.stored import (
    Activation,
    Citation,
    CollectionUse,
    Event,
    Listing,
    Load,
    Replica,
    StoredRelease,
    Ticket,
)


class ReleaseStore:
    """The store at a database URL (`settings.releases.store_url.get_secret_value()`).

    Nothing is opened before the first call; the first is `migrate`.

    Args:
        clock: in the place of the store's own clock, for tests.

    Raises:
        SettingsError: the URL is none, or of a database that cannot hold the store.
    """

    def __init__(self, url: str, *, clock: Clock | None = None) -> None:
        self._database = Database(url, clock=clock)
        self._requests = Requests(self._database)

    @property
    def name(self) -> str:
        """What tells this store from another, without user and password."""
        return self._database.name

    def migrate(self) -> None:
        """Make or upgrade the tables. Raises ReleaseError where they are newer than the code."""
        migrate(self._database)

    def close(self) -> None:
        """Give the connections back."""
        self._database.close()

    # Releases and their states: see `lifecycle`, and `states` for what each step needs.

    def add(self, release: Release, *, actor: str) -> StoredRelease:
        """Add a release as `built`; one of the same content is there already and stays."""
        return lifecycle.add(self._database, release, actor=actor)

    def get(self, release_id: str) -> StoredRelease:
        """Return a release. Raises UnknownReleaseError, or ReleaseError for a changed record."""
        with self._database.read() as transaction:
            return records.read_stored(transaction, release_id)

    def list(self) -> tuple[StoredRelease, ...]:
        """Return all releases, the oldest first. Raises ReleaseError where one cannot be read."""
        with self._database.read() as transaction:
            return records.list_stored(transaction)

    def survey(self) -> Listing:
        """Return all releases, and beside them those that cannot be read."""
        with self._database.read() as transaction:
            return records.survey(transaction)

    def collections(self) -> tuple[CollectionUse, ...]:
        """Return the collections of all releases but dropped ones, whatever their records hold."""
        with self._database.read() as transaction:
            return records.list_collections(transaction)

    def wanted(self) -> tuple[Release, ...]:
        """Return the releases that every replica is to hold, the active one first."""
        return lifecycle.wanted(self._database)

    def events(self) -> tuple[Event, ...]:
        """Return the journal, the oldest first."""
        return read_events(self._database)

    def record_gates(
        self, release_id: str, gates: Sequence[GateResult], *, actor: str
    ) -> StoredRelease:
        """Keep what the gates measured: `verified` if all passed, else `rejected`."""
        return lifecycle.record_gates(self._database, release_id, gates, actor=actor)

    def begin_staging(self, release_id: str, *, actor: str) -> StoredRelease:
        """Ask every replica to load a release."""
        return lifecycle.begin_staging(self._database, release_id, actor=actor)

    def finish_staging(self, release_id: str) -> StoredRelease:
        """Say that every replica holds the release."""
        return lifecycle.finish_staging(self._database, release_id)

    def fail_staging(self, release_id: str, reason: str) -> StoredRelease:
        """Take a release back to `verified` because a replica could not load it."""
        return lifecycle.fail_staging(self._database, release_id, reason)

    def begin_retirement(self, release_id: str, *, actor: str) -> StoredRelease:
        """Give no new request to a release, and let those under way end."""
        return lifecycle.begin_retirement(self._database, release_id, actor=actor)

    def finish_retirement(self, release_id: str) -> StoredRelease:
        """Let a drained release go. Raises ReleaseStateError with the count still in flight."""
        return lifecycle.finish_retirement(self._database, release_id)

    def mark_dropped(
        self, release_id: str, *, actor: str, aliases: Sequence[str] = ()
    ) -> StoredRelease:
        """Say that a release's collection goes; remove it afterwards.

        Raises:
            CollectionInUseError: one of the `aliases` or another release still needs it.
            ReleaseStateError: the release is pinned, or not retired.
        """
        return lifecycle.mark_dropped(self._database, release_id, actor=actor, aliases=aliases)

    def note_cases(self, release_id: str, *, actor: str, detail: str) -> None:
        """Note that cases were added to a release's collection; `detail` counts them."""
        lifecycle.note_cases(self._database, release_id, actor=actor, detail=detail)

    def pin(self, release_id: str, *, actor: str) -> StoredRelease:
        """Keep a release from being dropped."""
        return lifecycle.set_pin(self._database, release_id, pinned=True, actor=actor)

    def unpin(self, release_id: str, *, actor: str) -> StoredRelease:
        """Let a pinned release be dropped again."""
        return lifecycle.set_pin(self._database, release_id, pinned=False, actor=actor)

    # The switch: see `activation`.

    def active(self) -> Activation | None:
        """Return the last switch, or None before the first."""
        return activation.read_activation(self._database)

    def activate(self, release_id: str, *, expected_version: int | None, actor: str) -> Activation:
        """Make a staged release active. Raises ActivationConflictError, ReleaseStateError."""
        return activation.activate(
            self._database, release_id, expected_version=expected_version, actor=actor
        )

    def rollback(self, *, expected_version: int | None, actor: str) -> Activation:
        """Switch back. Raises ActivationConflictError, ReleaseStateError."""
        return activation.rollback(self._database, expected_version=expected_version, actor=actor)

    # Requests: see `requests`, which says what the two ends promise.

    def begin_request(self, request_id: str, *, ttl_s: float) -> Ticket:
        """Lease the active release. Raises NoActiveReleaseError where there is none."""
        return self._requests.begin(request_id, ttl_s=ttl_s)

    def end_request(
        self, request_id: str, *, study_id: str | None = None, cited: Sequence[str] = ()
    ) -> frozenset[str]:
        """Give the lease back and note the citations; return those withdrawn meanwhile.

        Where any come back nothing was noted and the report must not go out: begin anew.
        """
        return self._requests.end(request_id, study_id=study_id, cited=cited)

    def in_flight(self, release_id: str) -> int:
        """Return how many requests are under way on a release."""
        return self._requests.in_flight(release_id)

    # Withdrawals: see `withdrawals`.

    def withdraw(self, case_id: str, *, reason: str, actor: str) -> tuple[Citation, ...]:
        """Hide a case from every search at once, and return the reports that cited it."""
        return withdrawals.withdraw(self._database, case_id, reason=reason, actor=actor)

    def withdrawn(self) -> frozenset[str]:
        """Return the ids of all withdrawn cases."""
        return withdrawals.read_withdrawn(self._database)

    def citations(self, case_id: str) -> tuple[Citation, ...]:
        """Return the reports that cited a case, the oldest first."""
        return withdrawals.read_citations(self._database, case_id)

    # Replicas: see `replicas`.

    def beat(self, replica_id: str, deployment: str, loads: Mapping[str, Load]) -> None:
        """Say that a replica lives, and how far it is with each release."""
        replicas.beat(self._database, replica_id, deployment, loads)

    def forget_replica(self, replica_id: str) -> None:
        """Say that a replica ends."""
        replicas.forget(self._database, replica_id)

    def live_replicas(self, *, within_s: float = 10.0) -> tuple[Replica, ...]:
        """Return the replicas that were heard of within `within_s`."""
        return replicas.read_live(self._database, within_s=within_s)
