"""Releases as a person reads them: a table of all, the gates of one, the journal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from pirta.contracts.release import GateResult
    from pirta.releases.stored import (
        Activation,
        Citation,
        Event,
        StoredRelease,
        UnreadableRelease,
    )

_STATE_STYLES = {"active": "bold green", "staged": "green", "rejected": "red", "dropped": "dim"}


def release_table(
    stored: Sequence[StoredRelease],
    unreadable: Sequence[UnreadableRelease],
    active: Activation | None,
) -> Table:
    """Return one line a release, the oldest first; those that cannot be read come last."""
    version = "" if active is None else f" · switch {active.version}"
    table = Table(title=f"Releases{version}", title_justify="left", box=None, pad_edge=False)
    for name in ("release", "state", "cases", "index", "built (UTC)", "gates", ""):
        table.add_column(name, justify="right" if name == "cases" else "left", no_wrap=True)
    for one in stored:
        table.add_row(
            one.release.release_id,
            Text(one.state, style=_STATE_STYLES.get(one.state, "")),
            str(one.release.num_cases),
            one.release.index_kind,
            f"{one.created_at:%Y-%m-%d %H:%M}",
            _gates_in_short(one.gates),
            "pinned" if one.pinned else "",
        )
    for broken in unreadable:
        table.add_row(
            broken.release_id,
            Text(broken.state, style=_STATE_STYLES.get(broken.state, "")),
            "",
            "",
            f"{broken.created_at:%Y-%m-%d %H:%M}",
            Text("unreadable", style="bold red"),
            "pinned" if broken.pinned else "",
        )
    return table


def gate_table(gates: Sequence[GateResult]) -> Table:
    """Return one line a gate."""
    table = Table(box=None, pad_edge=False)
    for name in ("gate", "", "value", "limit", "unit", "detail"):
        table.add_column(name, justify="right" if name in ("value", "limit") else "left")
    for gate in gates:
        verdict = Text("ok", style="green") if gate.passed else Text("FAILED", style="bold red")
        value, limit = f"{gate.value:.6g}", f"{gate.limit:.6g}"
        table.add_row(gate.name, verdict, value, limit, gate.unit, gate.detail)
    return table


def event_table(events: Sequence[Event]) -> Table:
    """Return the journal, one line an event."""
    table = Table(box=None, pad_edge=False)
    for name in ("when (UTC)", "who", "what", "release", "detail"):
        table.add_column(name)
    for event in events:
        when = f"{event.at:%Y-%m-%d %H:%M:%S}"
        table.add_row(when, event.actor, event.step, event.release_id or "", event.detail)
    return table


def citation_table(citations: Sequence[Citation]) -> Table:
    """Return the reports that cited a case, one line each."""
    table = Table(box=None, pad_edge=False)
    for name in ("when (UTC)", "study", "release", "request"):
        table.add_column(name)
    for one in citations:
        when = f"{one.at:%Y-%m-%d %H:%M:%S}"
        table.add_row(when, one.study_id, one.release_id or "", one.request_id)
    return table


def _gates_in_short(gates: Sequence[GateResult]) -> Text:
    if not gates:
        return Text("not measured", style="dim")
    failed = [gate.name for gate in gates if not gate.passed]
    if failed:
        return Text(f"failed: {', '.join(failed)}", style="red")
    return Text(f"{len(gates)} of {len(gates)}")
