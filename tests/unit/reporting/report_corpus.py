"""The written corpora of raw reports with their gold answers, and how a reader is scored on them.

One line is one report; the files say their columns. A slot marked "*" is not scored, since its
text does not say it, nor are slots of a report in which gold knows no recent infarct.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from pirta.contracts.finding import InfarctType, Territory
from pirta.reporting.structuring.result import ReportReader, StructuredReport

FOLDER = Path(__file__).parent / "corpora"
SLOTS = (
    "state", "territory", "side", "multifocal", "acuity", "type", "class", "old", "review",
)  # fmt: skip
_TERRITORY = {
    Territory.ANTERIOR: "ant",
    Territory.DEEP_GRAY: "deep",
    Territory.POSTERIOR: "post",
}
_TYPE = {
    InfarctType.LARGE_VASCULAR: "large",
    InfarctType.WEDGE_VASCULAR: "wedge",
    InfarctType.SMALL_LACUNE: "lacune",
    InfarctType.SMALL_STRIATO_CAPSULAR: "striato",
    InfarctType.SMALL: "small",
}


@dataclass(frozen=True)
class GoldReport:
    """A report and what a person reads in it, by slot."""

    text: str
    slots: dict[str, str]


def load_reports(name: str) -> list[GoldReport]:
    """Return the reports of one corpus file."""
    lines = (FOLDER / name).read_text(encoding="utf-8").splitlines()
    reports = []
    for line in lines:
        if line and not line.startswith("#"):
            *slots, text = line.split("|", len(SLOTS))
            reports.append(
                GoldReport(text.replace("\\n", "\n"), dict(zip(SLOTS, slots, strict=True)))
            )
    return reports


def slots_of(report: StructuredReport) -> dict[str, str]:
    """Return a reading in the corpus's words."""
    lesion = report.main_lesion
    state = "absent" if report.is_normal else "present" if lesion else "unclear"
    found = {
        "state": state,
        "old": "y" if report.chronic else "n",
        "review": "y" if report.needs_review else "n",
    }
    if lesion is None:
        return found | dict.fromkeys(SLOTS[1:7], "-")
    territories = [_TERRITORY[one.territory] for one in report.lesions if one.territory]
    return found | {
        "territory": ",".join(territories),
        "side": "both" if lesion.laterality == "bilateral" else (lesion.laterality or "-"),
        "multifocal": "y" if lesion.multifocal else "n",
        "acuity": str(lesion.acuity),
        "type": _TYPE[lesion.infarct_type],
        "class": str(lesion.lesion_class),
    }


def misses(reader: ReportReader, reports: list[GoldReport]) -> list[tuple[str, str, str, str]]:
    """Return (slot, gold, read, text) of each slot that a reader gets wrong."""
    wrong = []
    for report in reports:
        read = slots_of(reader.read(report.text))
        wrong += [
            (slot, gold, read[slot], report.text)
            for slot, gold in report.slots.items()
            if gold != "*" and not _agrees(slot, gold, read[slot])
        ]
    return wrong


def accuracy(reader: ReportReader, reports: list[GoldReport]) -> dict[str, float]:
    """Return the share of scored slots that a reader gets right, by slot."""
    scored = Counter(
        slot for report in reports for slot, gold in report.slots.items() if gold not in "*-"
    )
    wrong = Counter(slot for slot, gold, _, _ in misses(reader, reports) if gold not in "*-")
    return {slot: 1 - wrong[slot] / scored[slot] for slot in SLOTS if scored[slot]}


def silent_errors(reader: ReportReader, reports: list[GoldReport]) -> list[str]:
    """Return the texts read wrongly in state, territory or side that no doubt sends to review."""
    wrong = []
    for report in reports:
        read = slots_of(reader.read(report.text))
        told = all(
            report.slots[slot] == "*" or _agrees(slot, report.slots[slot], read[slot])
            for slot in ("state", "territory", "side")
        )
        if not told and read["review"] == "n":
            wrong.append(report.text)
    return wrong


def _agrees(slot: str, gold: str, read: str) -> bool:
    if slot == "territory":  # the main one first, the others in any order
        return gold.split(",")[0] == read.split(",")[0] and set(gold.split(",")) == set(
            read.split(",")
        )
    return gold == read
