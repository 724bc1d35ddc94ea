"""A prepared cohort as rows of an index: which cases, what of them, and what may not be in them.

A row holds what another site's reader may see of a case: its structured finding, the report's
text de-identified, site and scanner, and the vector. The registry row, the patient's own, stays
outside, and so does the exam's date; the patient is a hash of the pseudonym.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Literal

from pirta.cohort.known_labels import check_labels_known
from pirta.cohort.prepared_store import PreparedCase, read_prepared
from pirta.errors import DuplicateCaseError, ManifestError
from pirta.pipelines.embed import EmbeddedCases
from pirta.pipelines.phi_patterns import phi_kinds, phi_kinds_in_id
from pirta.reporting.deidentify import deidentify
from pirta.retrieval.index import IndexRow, patient_key

_NAMED_CASES = 5


def cohort_cases(store: str, split: str | None) -> list[PreparedCase]:
    """Return the cases of a split (all where None or "all"), each once.

    Raises:
        ManifestError: the store holds no finished run, no case of the split, or cases whose
            label nobody stated: a report would cite them as normal.
        DuplicateCaseError: a case stands twice in it, with different content.
    """
    prepared = read_prepared(store)
    cases = [one for one in prepared if split in (None, "all", one.case.split)]
    if not cases:
        splits = sorted({one.case.split for one in prepared})
        raise ManifestError(
            f"{store} holds no case of the split '{split}', only of {', '.join(splits)}.",
            remedy="Name one of these splits, or all of them.",
        )
    check_labels_known(store, cases)
    once: dict[str, PreparedCase] = {}
    twice = {one.case.case_id for one in cases if once.setdefault(one.case.case_id, one) != one}
    if twice:
        raise DuplicateCaseError(
            f"{len(twice)} case(s) stand twice in {store} with different content: {_some(twice)}.",
            remedy="Keep one study a case_id in the cohort, then prepare it again.",
        )
    return list(once.values())


def index_rows(
    embedded: EmbeddedCases, *, origin: Literal["build", "live"], release_id: str = ""
) -> list[IndexRow]:
    """Return the cases' rows, written today; `release_id` is what live ones are added to.

    What identifies a person is taken out of report texts, tags in its place.

    Raises:
        ManifestError: something else still seems to identify one; only its kind is told.
    """
    today = datetime.now(UTC).date().isoformat()
    rows = [
        IndexRow(
            case_id=one.case.case_id,
            patient_key=patient_key(one.case.patient_id),
            site=one.case.site,
            scanner=one.case.scanner,
            label=one.case.label,
            finding=one.case.finding,
            findings_text=one.case.findings_text,
            report_text=deidentify(one.case.report_text).text,
            origin=origin,
            release_id=release_id,
            added_on=today,
            embedding_D=embedding_D,
        )
        for one, embedding_D in zip(embedded.cases, embedded.embeddings_ND, strict=True)
    ]
    _refuse_phi(rows)
    return rows


def row_phi(row: IndexRow) -> tuple[str, ...]:
    """Return the kinds of identifying detail that a row seems to hold, as "field: kind"."""
    texts = {"findings_text": row.findings_text, "report_text": row.report_text}
    ids = {"case_id": row.case_id, "site": row.site, "scanner": row.scanner}
    return (
        *(f"{name}: {kind}" for name, text in texts.items() for kind in phi_kinds(text)),
        *(f"{name}: {kind}" for name, text in ids.items() for kind in phi_kinds_in_id(text)),
    )


def phi_summary(found: Iterable[tuple[str, tuple[str, ...]]]) -> str:
    """Return "report_text: date (3), ... in ID, ID" of (case id, its `row_phi`) pairs.

    A case id that is no pseudonym itself is not repeated.
    """
    pairs = list(found)
    kinds = Counter(kind for _, some in pairs for kind in some)
    counted = ", ".join(f"{kind} ({count})" for kind, count in sorted(kinds.items()))
    named = [name for name, _ in pairs if not phi_kinds_in_id(name)]
    return f"{counted} in {_some(named)}" if named else counted


def _refuse_phi(rows: Sequence[IndexRow]) -> None:
    found = [(row.case_id, kinds) for row in rows if (kinds := row_phi(row))]
    if found:
        raise ManifestError(
            f"{len(found)} of {len(rows)} cases seem to identify a person: {phi_summary(found)}.",
            remedy="De-identify these columns of the cohort and prepare it again; nothing was "
            "written to the index.",
        )


def _some(names: Iterable[str]) -> str:
    ordered = sorted(names)
    more = len(ordered) - _NAMED_CASES
    return ", ".join(ordered[:_NAMED_CASES]) + (f" and {more} more" if more > 0 else "")
