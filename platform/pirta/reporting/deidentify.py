"""Take away who a text speaks of: names, dates, numbers, contacts, places, and ages over 89.

Ordered rules over the text, after the identifiers that HIPAA's safe harbour lists (45 CFR
164.514(b)(2)); each rule leaves a tag such as `[DATE]`. English reports and the Korean labels of
their headers. What the reading needs stays: anatomy, sequence names, b-values, measurements,
scores, times of day, durations, ages up to 89.

It is a net and no proof: a name without title, label or signature is not found. The figures on
the written corpora stand in the tests. Each pattern has bounded repeats and no repeat within a
repeat, so that the time grows with the length of the text and with nothing else.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from pirta.reporting.deidentify_patterns import (
    AGES,
    CONTACTS,
    DATES,
    NAMES,
    NUMBERS,
    PLACES,
)

OLDEST_SHOWN_YEARS: Final = 89


class Kind(StrEnum):
    """What was taken away; also the word in the tag."""

    NAME = "NAME"
    DATE = "DATE"
    ID = "ID"
    PHONE = "PHONE"
    EMAIL = "EMAIL"
    URL = "URL"
    PLACE = "PLACE"
    AGE = "AGE"


@dataclass(frozen=True)
class Span:
    """A stretch of the given text that identifies someone."""

    kind: Kind
    start: int
    end: int


@dataclass(frozen=True)
class Deidentified:
    """A text without its identifiers, and how many of each kind were there."""

    text: str
    counts: Mapping[Kind, int]


# In this order; a stretch that an earlier rule took is not looked at again.
_RULES: Final = (
    *((Kind.EMAIL if kind == "email" else Kind.URL, pattern) for kind, pattern in CONTACTS[:2]),
    *((Kind.DATE, pattern) for pattern in DATES),
    *((Kind.ID, pattern) for pattern in NUMBERS),
    *((Kind.PHONE, pattern) for _, pattern in CONTACTS[2:]),
    *((Kind.PLACE, pattern) for pattern in PLACES),
    *((Kind.NAME, pattern) for pattern in NAMES),
    *((Kind.AGE, pattern) for pattern in AGES),
)


def deidentify(text: str) -> Deidentified:
    """Return `text` with every identifier that the rules know replaced by a tag."""
    spans = find_identifiers(text)
    parts, start = [], 0
    for span in spans:
        parts += [text[start : span.start], f"[{span.kind}]"]
        start = span.end
    counts = Counter(span.kind for span in spans)
    return Deidentified("".join([*parts, text[start:]]), MappingProxyType(dict(counts)))


def find_identifiers(text: str) -> tuple[Span, ...]:
    """Return the identifying stretches of `text`, in order and apart from each other."""
    spans: list[Span] = []
    masked = text
    for kind, pattern in _RULES:
        found = [
            Span(kind, match.start("id"), match.end("id"))
            for match in pattern.finditer(masked)
            if kind is not Kind.AGE or int(match["id"]) > OLDEST_SHOWN_YEARS
        ]
        spans += found
        masked = _mask(masked, found)
    return tuple(sorted(spans, key=lambda span: span.start))


def _mask(text: str, spans: list[Span]) -> str:
    """Overwrite what was found with a sign that no rule takes, of the same length."""
    parts, start = [], 0
    for span in spans:
        parts += [text[start : span.start], "\x00" * (span.end - span.start)]
        start = span.end
    return "".join([*parts, text[start:]])
