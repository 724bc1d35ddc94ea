"""What a failure of the release store's database means to people, and what of it they are told.

The text of these errors goes to every client of the gateway.
"""

from __future__ import annotations

import sqlite3

from sqlalchemy.exc import DBAPIError, TimeoutError

from pirta.errors import PirtaError, ReleaseError, UnavailableError

# PostgreSQL's codes that an operator meets, in words; others are told as they are.
_POSTGRESQL_FAULTS = {
    "55P03": "somebody else holds its lock",
    "57014": "a statement took too long",
    "25P03": "a transaction stood still for too long",
    "53300": "it has no connection left",
    "57P01": "it is being stopped",
    "57P03": "it is starting or stopping",
    "28P01": "it refuses the password",
    "28000": "it refuses the user",
    "3D000": "there is no such database",
    "42501": "a right is missing",
    "25006": "it is read-only",
    None: "no connection to it, or it broke off",
}


def store_error(error: DBAPIError | TimeoutError) -> PirtaError:
    """Return what a failure of the database means to people.

    SQLite's own words name no more than what failed. PostgreSQL's name hosts, users and rows, and
    this text goes to every client: of them only the code is told.
    """
    cause = getattr(error, "orig", None) or error
    said = _said(cause)
    if "no such table" in said or type(cause).__name__ == "UndefinedTable":
        return ReleaseError(
            "The release store has no tables yet, or is another database.",
            remedy="Check the setting releases.store_url; `pirta release list` makes the tables.",
        )
    return UnavailableError(
        f"The release store does not answer: {said}.",
        remedy="Repeat the request. Where it stays so, check that the database of "
        "releases.store_url runs, and that its folder exists and can be written.",
    )


def _said(cause: BaseException) -> str:
    if isinstance(cause, sqlite3.Error):
        return " ".join(str(cause).split())
    if isinstance(cause, TimeoutError):
        return "all of this process's connections are in use"
    code = getattr(cause, "sqlstate", None)
    return _POSTGRESQL_FAULTS.get(code, f"SQLSTATE {code}")
