"""What the quality gate says of a study: one result a gate, each with its number and limit.

Nothing is measured here; see `pirta.imaging.quality`.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

Verdict = Literal["pass", "warn", "refuse"]


class GateResult(BaseModel):
    """One gate's judgement of one study.

    Attributes:
        gate: stable name, also the name of its settings.
        value: what was measured, in `unit`; None where it could not be measured.
        unit: "mm", "%", "10⁻³ mm²/s" …; empty for a plain number or a yes/no gate.
        limit: the limit that decided, as text ("at least 10", "at most 6").
        reason: a sentence for the reader, empty where the gate passed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    gate: str
    value: float | None
    unit: str = ""
    limit: str = ""
    verdict: Verdict
    reason: str = ""
