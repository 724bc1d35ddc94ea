"""A report's text read back: is it in the paper's form, and what does it say of the patient?

An evaluation reads what a person would read, not the objects that the text was made from. So it
has its own reading here, of the contract's words alone, and shares no code with whoever wrote
the text. Legal sentences only: a report that says more than the form allows is out of form.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from functools import cache

from pirta.contracts.finding import (
    Finding,
    InfarctType,
    LesionClass,
    Territory,
    finding_sentence,
)
from pirta.contracts.report import (
    ABSTAINED_FINDINGS,
    ABSTAINED_IMPRESSION,
    ACUTE_IMPRESSION,
    NORMAL_IMPRESSION,
)
from pirta.contracts.study import Registry

_PARTS = re.compile(
    r"^Clinical Presentation: (?P<presentation>.*)\nNIHSS: (?P<nihss>.*)\n"
    r"Past Medical History: (?P<history>.*)\nFindings: (?P<findings>.*)\n"
    r"Impression: (?P<impression>.*)(?=\n\n|\n?\Z)",
    re.MULTILINE,
)
_PERSON = re.compile(
    r"An? (?:(?P<age>\d+)-year-old )?(?:(?P<sex>Female|Male) )?patient with (?P<complaint>.*)\."
)
_UNKNOWN, _NO_COMPLAINT, _NO_HISTORY = "unknown", "unknown presentation", "none recorded"


@dataclass(frozen=True)
class ReadReport:
    """The five parts of a report in form; `finding` None says normal, unless it abstains."""

    presentation: str
    nihss: str
    history: str
    finding: Finding | None
    abstains: bool

    @property
    def states(self) -> bool:
        """Whether it states what the study shows."""
        return not self.abstains


def read_report(text: str) -> ReadReport | None:
    """Return what a report says; None where it is not in the form of Table 3."""
    found = list(_PARTS.finditer(text))
    if len(found) != 1:
        return None
    parts = found[0].groupdict()
    said = (parts["findings"], parts["impression"])
    abstains = said == (ABSTAINED_FINDINGS, ABSTAINED_IMPRESSION)
    if not abstains and said not in _legal():
        return None
    return ReadReport(
        parts["presentation"],
        parts["nihss"],
        parts["history"],
        None if abstains else _legal()[said],
        abstains,
    )


def keeps_registry(report: ReadReport, registry: Registry) -> bool:
    """Whether presentation, NIHSS and history are the registry's, to the letter."""
    person = _PERSON.fullmatch(report.presentation)
    if person is None:
        return False
    age = "" if registry.age_years is None else str(registry.age_years)
    complaint = (registry.presentation or _NO_COMPLAINT).rstrip(".")
    same_person = (person["age"] or "", person["sex"] or "", person["complaint"]) == (
        age,
        registry.sex or "",
        complaint,
    )
    nihss = _UNKNOWN if registry.nihss is None else f"{registry.nihss}.0"
    history = ", ".join(registry.history) or _NO_HISTORY
    return same_person and report.nihss == nihss and report.history == history


@cache
def _legal() -> dict[tuple[str, str], Finding | None]:
    """Each legal pair of findings and impression, and what it says."""
    findings: list[Finding | None] = [None]
    findings += [
        Finding(lesion_class=lesion_class, infarct_type=infarct_type, territory=territory)
        for lesion_class, infarct_type, territory in itertools.product(
            LesionClass, InfarctType, Territory
        )
    ]
    return {
        (finding_sentence(one), NORMAL_IMPRESSION if one is None else ACUTE_IMPRESSION): one
        for one in findings
    }
