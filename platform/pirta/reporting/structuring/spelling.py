"""Typing errors: an unknown word one or two strokes from a word of the lexicon becomes it.

Strokes are insertions, deletions, substitutions and swaps of neighbours (Damerau 1964, in the
restricted form). Short words are left alone, two strokes are granted to long words only, the
first letter must be right and the nearest word unique: "infraction" is an infarction, an
"infection" stays one.
"""

from __future__ import annotations

import re
from typing import Final

_SHORTEST: Final = 5
_TWO_STROKES_FROM: Final = 10
_WORD: Final = re.compile(r"[a-z]{5,40}")


def correct(text: str, vocabulary: frozenset[str]) -> tuple[str, int]:
    """Return lower-case `text` with its typing errors mended, and how many words changed."""
    changed = 0

    def mend(match: re.Match[str]) -> str:
        nonlocal changed
        word = match.group()
        nearest = _nearest(word, vocabulary)
        changed += nearest is not None
        return nearest or word

    return _WORD.sub(mend, text), changed


def strokes(word: str, other: str, most: int) -> int:
    """Return the number of strokes between two words, or `most + 1` where it is larger."""
    if abs(len(word) - len(other)) > most:
        return most + 1
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, letter in enumerate(word, 1):
        last, before, row = before, row, [i]
        for j, other_letter in enumerate(other, 1):
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (letter != other_letter))
            if i > 1 and j > 1 and letter == other[j - 2] and word[i - 2] == other_letter:
                cost = min(cost, last[j - 2] + 1)
            row.append(cost)
        if min(row) > most and min(before) > most:
            return most + 1
    return min(row[-1], most + 1)


def _nearest(word: str, vocabulary: frozenset[str]) -> str | None:
    """Return the one near word of the vocabulary; None where it is known, far or unclear."""
    if word in vocabulary or word.removesuffix("s") in vocabulary:
        return None
    most = 2 if len(word) >= _TWO_STROKES_FROM else 1
    near: dict[str, int] = {}
    for known in vocabulary:
        if known[0] == word[0] and len(known) >= _SHORTEST:
            distance = strokes(word, known, most)
            if distance <= most:
                near[known] = distance
    if not near:
        return None
    least = min(near.values())
    best = [known for known, distance in near.items() if distance == least]
    return best[0] if len(best) == 1 else None
