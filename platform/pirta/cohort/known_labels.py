"""Refuse to count a study as normal only because nobody has said what it shows.

A row without a finding is normal where its report text says so. A scanned archive's rows, and a
manifest's without both columns, say nothing: whoever needs labels asks here first.
"""

from __future__ import annotations

from collections.abc import Sequence

from pirta.cohort.prepared_rows import PreparedCase
from pirta.errors import ManifestError

STATE_THEM = (
    "Give each row of the manifest its finding_json, or the report_text of a normal study, and "
    "prepare it again"
)


def check_labels_known(
    store: str, rows: Sequence[PreparedCase], *, remedy: str = f"{STATE_THEM}."
) -> None:
    """Refuse rows whose label nobody stated.

    Raises:
        ManifestError: there are some; says how many.
    """
    num_unknown = sum(not row.case.label_known for row in rows)
    if num_unknown:
        raise ManifestError(
            f"{num_unknown} of {len(rows)} cases in {store} state neither a finding nor a report: "
            "whether they are normal is not known.",
            remedy=remedy,
        )
