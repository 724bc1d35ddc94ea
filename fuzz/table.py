"""The outcomes counted, by seed and by mutator, as Markdown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from fuzz.pool import Outcome

COLUMNS = ("refused", "clean", "plain", "consistent", "fault")


def table(outcomes: Sequence[Outcome]) -> str:
    """Return the counts by seed, by mutator, and of the refusals' codes."""
    codes = Counter(one.detail for one in outcomes if one.outcome == "refused")
    lines = [
        *_rows("seed", outcomes, lambda one: one.seed),
        "",
        *_rows("mutator", outcomes, lambda one: one.mutator),
        "",
        "Refusals: " + ", ".join(f"{code} {number}" for code, number in codes.most_common()) + ".",
    ]
    return "\n".join(lines) + "\n"


def _rows(title: str, outcomes: Sequence[Outcome], name: Callable[[Outcome], str]) -> list[str]:
    counts = Counter((name(one), one.outcome) for one in outcomes)
    names = sorted({name(one) for one in outcomes})
    totals = Counter(one.outcome for one in outcomes)
    return [
        f"| {title} | cases | " + " | ".join(COLUMNS) + " |",
        "| --- |" + " ---: |" * (len(COLUMNS) + 1),
        *(_row(one, [counts[one, column] for column in COLUMNS]) for one in names),
        _row("all", [totals[column] for column in COLUMNS]),
    ]


def _row(name: str, counts: Sequence[int]) -> str:
    return f"| {name} | {sum(counts)} | " + " | ".join(map(str, counts)) + " |"
