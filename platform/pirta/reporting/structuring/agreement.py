"""Two readers of one report: where they differ, and the first one's proposal with that doubt.

Only what both say is compared: a slot that either has filled by habit is left out. The first
reader's proposal stands; the second one's may only send it to a person.
"""

from __future__ import annotations

from dataclasses import replace

from pirta.reporting.structuring.result import Doubt, Lesion, StructuredReport, in_order


def disagreements(first: StructuredReport, second: StructuredReport) -> tuple[str, ...]:
    """Return the names of the slots in which two readings differ; empty where they agree."""
    if first.is_normal != second.is_normal:
        return ("state",)
    one, other = first.main_lesion, second.main_lesion
    if (one is None) != (other is None):
        return ("state",)
    if one is None or other is None:
        return ()
    found = [name for name in ("territory", "acuity") if _differ(one, other, name)]
    found += [
        name
        for name in ("lesion_class", "infarct_type", "laterality", "multifocal")
        if name not in one.inferred | other.inferred and _differ(one, other, name)
    ]
    if _territories(first) != _territories(second) and "territory" not in found:
        found.append("further_territories")
    if bool(first.chronic) != bool(second.chronic):
        found.append("chronic")
    return tuple(found)


def with_doubt(report: StructuredReport, doubt: Doubt) -> StructuredReport:
    """Return the proposal with one more doubt."""
    return replace(report, doubts=in_order([*report.doubts, doubt]))


def _differ(one: Lesion, other: Lesion, slot: str) -> bool:
    return bool(getattr(one, slot) != getattr(other, slot))


def _territories(report: StructuredReport) -> set[object]:
    return {lesion.territory for lesion in report.lesions if lesion.territory is not None}
