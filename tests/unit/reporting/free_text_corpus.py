"""The written corpora of free text with marked identifiers, and how de-identification is scored.

A marked stretch counts as found when all of it went; kinds are not scored, since what matters is
that it is gone. A stretch that went without touching a marked one is an error of precision.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from pirta.reporting.deidentify import find_identifiers

_MARK = re.compile(r"\[\[([A-Z]+):(.*?)\]\]")


@dataclass(frozen=True)
class MarkedText:
    """A text, and the stretches in it that must go, as (start, end)."""

    text: str
    spans: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Score:
    """Shares of marked stretches that went, and of what went that was marked."""

    recall: float
    precision: float
    missed: tuple[str, ...]
    wrongly_taken: tuple[str, ...]


def load_free_text(name: str) -> list[MarkedText]:
    """Return the texts of one corpus file."""
    path = Path(__file__).parent / "corpora" / name
    lines = path.read_text(encoding="utf-8").splitlines()
    return [_unmark(line) for line in lines if line and not line.startswith("#")]


def score(texts: list[MarkedText]) -> Score:
    """Return recall and precision over the stretches of all texts."""
    num_marked, num_taken = 0, 0
    missed: list[str] = []
    wrong: list[str] = []
    for marked in texts:
        taken = find_identifiers(marked.text)
        num_marked, num_taken = num_marked + len(marked.spans), num_taken + len(taken)
        covered = {i for span in taken for i in range(span.start, span.end)}
        missed += [
            marked.text for start, end in marked.spans if not set(range(start, end)) <= covered
        ]
        wrong += [
            f"{marked.text[span.start : span.end]} | {marked.text}"
            for span in taken
            if not any(span.start < end and start < span.end for start, end in marked.spans)
        ]
    return Score(
        1 - len(missed) / num_marked, 1 - len(wrong) / num_taken, tuple(missed), tuple(wrong)
    )


def _unmark(line: str) -> MarkedText:
    text, spans, start = "", [], 0
    for mark in _MARK.finditer(line):
        text += line[start : mark.start()]
        spans.append((len(text), len(text) + len(mark[2])))
        text += mark[2]
        start = mark.end()
    return MarkedText(text + line[start:], tuple(spans))
