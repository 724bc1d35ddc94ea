"""Requests under way: each begins with the active release and a lease on it, and ends with both.

The lease keeps a release from being retired under a request; it runs out by itself, so that a
gateway that dies holds nothing up for ever. Both ends are one short transaction that waits for no
disk: they are on the way of every report, and a power cut takes what the last seconds noted
with it. Records never change under their id, so each is read and checked once.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import bindparam, delete, func, insert, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError

from pirta.contracts.release import Release
from pirta.errors import NoActiveReleaseError, ReleaseStateError
from pirta.releases.database import Database, Transaction
from pirta.releases.lifecycle import count_in_flight
from pirta.releases.records import read_stored
from pirta.releases.stored import Ticket
from pirta.releases.tables import (
    THE_ROW,
    ActivationRow,
    CitationRow,
    LeaseRow,
    WithdrawalRow,
    table_of,
)

# Made once: to put a statement together takes longer than to run it.
_WITHDRAWAL = table_of(WithdrawalRow)
_LEASE = table_of(LeaseRow)
_WHAT_HOLDS = select(
    table_of(ActivationRow).c.release_id,
    select(func.count()).select_from(_WITHDRAWAL).scalar_subquery(),
).where(table_of(ActivationRow).c.row_id == THE_ROW)
_BEGIN = insert(_LEASE)
_END = (
    delete(_LEASE).where(_LEASE.c.request_id == bindparam("ended")).returning(_LEASE.c.release_id)
)
_ALL_WITHDRAWN = select(_WITHDRAWAL.c.case_id)
_WITHDRAWN_OF = _ALL_WITHDRAWN.where(_WITHDRAWAL.c.case_id.in_(bindparam("cited", expanding=True)))
_CITE = {  # an end that is sent twice notes its citations once
    "sqlite": sqlite.insert(table_of(CitationRow)).on_conflict_do_nothing(),
    "postgresql": postgresql.insert(table_of(CitationRow)).on_conflict_do_nothing(),
}


class Requests:
    """The requests of one process, on the store that all processes share."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._records: dict[str, Release] = {}
        self._withdrawn: frozenset[str] = frozenset()

    def begin(self, request_id: str, *, ttl_s: float) -> Ticket:
        """Return what the request goes by, and lease its release for `ttl_s`.

        Raises:
            NoActiveReleaseError: nothing was activated yet.
            ReleaseStateError: a request of this id is under way.
            ReleaseError: the active release's record does not match its id.
        """
        try:
            with self._database.write(durable=False) as transaction:
                transaction.share_switch()
                release_id, num_withdrawn = transaction.connection.execute(_WHAT_HOLDS).one()
                if release_id is None:
                    raise NoActiveReleaseError(
                        "No release is active.",
                        remedy="Activate one: `pirta release activate ID`; "
                        "`pirta release list` names those that are staged.",
                    )
                lease = {
                    "request_id": request_id,
                    "release_id": release_id,
                    "expires_at": transaction.now() + timedelta(seconds=ttl_s),
                }
                transaction.connection.execute(_BEGIN, lease)
                release = self._record(transaction, release_id)
                withdrawn = self._withdrawals(transaction, num_withdrawn)
        except IntegrityError:
            raise ReleaseStateError(
                f"A request of the id {request_id} is under way.",
                remedy="Give each request an id of its own.",
            ) from None
        return Ticket(request_id, release, withdrawn)

    def end(
        self, request_id: str, *, study_id: str | None = None, cited: Sequence[str] = ()
    ) -> frozenset[str]:
        """Give the lease back and note which cases the study's report cites.

        Returns:
            Those of `cited` that were withdrawn since the request began. Where there are any,
            nothing is noted and the report must not go out: begin anew. Otherwise whoever
            withdraws one of them from now on is told of this report.
        """
        assert study_id is not None or not cited, "citations are a study's"
        with self._database.write(durable=False) as transaction:
            transaction.share_switch()
            connection = transaction.connection
            release_id = connection.execute(_END, {"ended": request_id}).scalar_one_or_none()
            if not cited:
                return frozenset()
            withdrawn = connection.execute(_WITHDRAWN_OF, {"cited": list(cited)}).scalars()
            if found := frozenset(withdrawn):
                return found
            of_all = {
                "request_id": request_id,
                "study_id": study_id,
                "release_id": release_id,
                "at": transaction.now(),
            }
            connection.execute(
                _CITE[connection.dialect.name],
                [{**of_all, "case_id": case_id} for case_id in dict.fromkeys(cited)],
            )
        return frozenset()

    def in_flight(self, release_id: str) -> int:
        """Return how many requests are under way on a release."""
        with self._database.read() as transaction:
            return count_in_flight(transaction, release_id)

    def _record(self, transaction: Transaction, release_id: str) -> Release:
        if release_id not in self._records:
            self._records[release_id] = read_stored(transaction, release_id).release
        return self._records[release_id]

    def _withdrawals(self, transaction: Transaction, num_withdrawn: int) -> frozenset[str]:
        # Withdrawals are only ever added, so as many as before are the same as before.
        known = self._withdrawn
        if len(known) != num_withdrawn:
            known = frozenset(transaction.connection.execute(_ALL_WITHDRAWN).scalars())
            self._withdrawn = known
        return known
