"""One gate: its name, its unit, its sentence, and how a value meets its two limits.

A gate's limits are `QualitySettings` fields of its name: `GATE_warn_UNIT`, `GATE_refuse_UNIT`.
Nothing is measured here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from pirta.contracts.quality import GateResult, Verdict
from pirta.settings import QualitySettings

_SUFFIX = {"mm": "_mm", "ml": "_ml", "%": "_percent", "s/mm²": "_s_mm2", "10⁻³ mm²/s": "", "": ""}


@dataclass(frozen=True)
class Gate:
    """A gate as the reader knows it.

    Attributes:
        name: the start of its settings' names.
        unit: a key of the units that settings spell out.
        subject: what is measured, the beginning of a sentence ("The brain's height").
        note: stands behind the limit, where a value can be measured in more than one way.
    """

    name: str
    unit: str
    subject: str
    note: str = ""


def pass_through(gate: Gate, value: float | None, settings: QualitySettings) -> GateResult:
    """Return how a value meets a gate's limits. What cannot be measured is warned about."""
    warn, refuse = (
        float(getattr(settings, f"{gate.name}_{kind}{_SUFFIX[gate.unit]}"))
        for kind in ("warn", "refuse")
    )
    is_floor = settings.is_floor(gate.name)
    if value is None or not math.isfinite(value):
        reason = f"{gate.subject} could not be measured."
        return GateResult(gate=gate.name, value=None, unit=gate.unit, verdict="warn", reason=reason)
    sign = 1 if is_floor else -1
    verdict: Verdict = "pass"
    if sign * value < sign * warn:
        verdict = "warn"
    if sign * value < sign * refuse:
        verdict = "refuse"
    unit = {"": "", "%": "%"}.get(gate.unit, f" {gate.unit}")
    bound = "at least" if is_floor else "at most"
    limit = f"{bound} {refuse if verdict == 'refuse' else warn:g}{unit}"
    asked = "is needed" if verdict == "refuse" else "is wanted"
    shown = f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
    reason = "" if verdict == "pass" else f"{gate.subject} is {shown}{unit}; {limit} {asked}."
    return GateResult(
        gate=gate.name,
        value=round(value, 4),
        unit=gate.unit,
        limit=limit + gate.note,
        verdict=verdict,
        reason=reason,
    )
