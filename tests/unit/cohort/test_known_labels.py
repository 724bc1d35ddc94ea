"""No finding is not yet normal: somebody has to have said so."""

from __future__ import annotations

import pytest

from pirta.cohort.known_labels import check_labels_known
from pirta.cohort.prepared_rows import PreparedCase, from_row, to_row
from pirta.contracts.case import CaseRecord
from pirta.contracts.finding import Finding, InfarctType, Label, LesionClass, Territory
from pirta.contracts.study import Registry
from pirta.errors import ManifestError

FINDING = Finding(
    lesion_class=LesionClass.MILD,
    infarct_type=InfarctType.SMALL,
    territory=Territory.ANTERIOR,
)


def _row(finding: Finding | None, report_text: str) -> PreparedCase:
    case = CaseRecord(
        case_id="a", patient_id="a", site="s", scanner="s", study_uri="scanned:a",
        registry=Registry(), finding=finding, report_text=report_text,
    )  # fmt: skip
    return PreparedCase(case, "a.npy", None, None, "prep-1", {})


@pytest.mark.parametrize(
    ("finding", "report_text", "known"),
    [
        (None, "", False),
        (None, " \n", False),
        (None, "There is no diffusion restriction.", True),
        (FINDING, "", True),
    ],
)
def test_a_label_is_known_where_a_finding_or_a_report_states_it(
    finding: Finding | None, report_text: str, known: bool
) -> None:
    row = from_row(to_row(_row(finding, report_text)))  # as a store keeps it, an old one too
    assert row.case.label_known is known
    if known:
        check_labels_known("store", [row])
        return
    assert row.case.label is Label.NORMAL  # which is why it must be asked
    with pytest.raises(ManifestError, match=r"1 of 2 cases in store state neither .*report_text"):
        check_labels_known("store", [row, _row(FINDING, "")])
