"""Cases, reports and findings made by hand, for the tests of how writers are measured."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pirta.contracts.finding import (
    Finding,
    InfarctType,
    LesionClass,
    Territory,
    finding_sentence,
    label_of,
)
from pirta.contracts.report import (
    ABSTAINED_FINDINGS,
    ABSTAINED_IMPRESSION,
    RetrievedCase,
)
from pirta.contracts.study import Registry
from pirta.evaluation.writer_evaluation import SystemRoles
from pirta.evaluation.writer_reports import ToldReport, WriterCase

REGISTRY = Registry(
    age_years=75, sex="Female", presentation="Altered Mentality", nihss=32, history=("HTN", "Afib")
)
PARTS = (
    "Clinical Presentation: A 75-year-old Female patient with Altered Mentality.\n"
    "NIHSS: 32.0\nPast Medical History: HTN, Afib\n"
)
ROLES = SystemRoles("product", "always", "naive", ("rule", "other rule"))


def lesion(
    territory: Territory,
    *,
    lesion_class: LesionClass = LesionClass.STRONG,
    infarct_type: InfarctType = InfarctType.SMALL,
) -> Finding:
    return Finding(lesion_class=lesion_class, infarct_type=infarct_type, territory=territory)


ANTERIOR = lesion(Territory.ANTERIOR)
DEEP = lesion(Territory.DEEP_GRAY)
POSTERIOR = lesion(Territory.POSTERIOR)


def near(finding: Finding | None, number: int = 0) -> RetrievedCase:
    return RetrievedCase(
        case_id=f"index-{number}",
        site="site-i",
        similarity=0.9,
        label=label_of(finding),
        finding=finding,
        findings_text=finding_sentence(finding),
    )


def asked(
    truth: Finding | None,
    number: int = 0,
    *,
    evidence: Sequence[Finding | None] | None = None,
    **changes: Any,
) -> WriterCase:
    """Return a case whose neighbours are all right, unless said otherwise."""
    fields: dict[str, Any] = {
        "case_id": f"case-{number}",
        "patient_id": f"patient-{number}",
        "dataset": "north",
        "site": "site-n",
        "registry": REGISTRY,
        "truth": truth,
        "evidence": tuple(near(one) for one in (evidence or [truth] * 5)),
        "encoder_label": label_of(truth),
    }
    return WriterCase(**fields | changes)


def says(finding: Finding | None, **changes: Any) -> ToldReport:
    impression = "No acute infarction" if finding is None else "Acute infarction"
    text = f"{PARTS}Findings: {finding_sentence(finding)}\nImpression: {impression}"
    return ToldReport(text=text, **changes)


def abstains(**changes: Any) -> ToldReport:
    text = f"{PARTS}Findings: {ABSTAINED_FINDINGS}\nImpression: {ABSTAINED_IMPRESSION}"
    return ToldReport(text=text, mode="abstained", **changes)


def out_of_form() -> ToldReport:
    return ToldReport(text=f"{PARTS}Findings: a stroke, perhaps\nImpression: Acute infarction")
