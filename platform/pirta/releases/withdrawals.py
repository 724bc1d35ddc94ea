"""Cases that nobody may see any more, and the reports that cited them.

A withdrawal holds in every release at once, from the moment at which it is written: requests that
begin later get it with their ticket, and one under way that cites the case is stopped at its end
(`requests.Requests.end`). Nothing takes a withdrawal back: the case is indexed anew, under another
id, once it is right.
"""

from __future__ import annotations

from sqlalchemy import insert, select

from pirta.releases.database import Database, Transaction
from pirta.releases.events import note
from pirta.releases.stored import Citation
from pirta.releases.tables import CitationRow, WithdrawalRow, table_of


def withdraw(database: Database, case_id: str, *, reason: str, actor: str) -> tuple[Citation, ...]:
    """Hide a case from every search, and return the reports that cited it, the oldest first.

    A case that was withdrawn before stays so, with its first reason.

    Args:
        reason: for the journal; it names no patient.
    """
    with database.write() as transaction:
        transaction.hold_switch()
        known = transaction.connection.execute(
            select(WithdrawalRow.case_id).where(WithdrawalRow.case_id == case_id)
        ).one_or_none()
        if known is None:
            at = transaction.now()
            transaction.connection.execute(
                insert(WithdrawalRow).values(case_id=case_id, reason=reason, actor=actor, at=at)
            )
            note(transaction, at=at, actor=actor, step="withdrawn", detail=f"case {case_id}")
        return _citations(transaction, case_id)


def read_withdrawn(database: Database) -> frozenset[str]:
    """Return the ids of all withdrawn cases."""
    with database.read() as transaction:
        return frozenset(transaction.connection.execute(select(WithdrawalRow.case_id)).scalars())


def read_citations(database: Database, case_id: str) -> tuple[Citation, ...]:
    """Return the reports that cited a case, the oldest first."""
    with database.read() as transaction:
        return _citations(transaction, case_id)


def _citations(transaction: Transaction, case_id: str) -> tuple[Citation, ...]:
    rows = transaction.connection.execute(
        select(table_of(CitationRow))
        .where(CitationRow.case_id == case_id)
        .order_by(CitationRow.at, CitationRow.request_id)
    )
    return tuple(Citation(**row._mapping) for row in rows)
