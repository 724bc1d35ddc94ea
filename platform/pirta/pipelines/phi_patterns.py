"""What must not stand in a row of an index: dates, numbers, addresses and names of people.

Patterns find what a form of words gives away (a date, a phone number, an e-mail address, a medical
record or accession number, a title or a label with a name). They cannot find a bare surname: texts
are de-identified by the site; this is the net below. A finding names kinds, never the text.
"""

from __future__ import annotations

import re
from typing import Final

_DAY: Final = r"(?:0?[1-9]|[12]\d|3[01])"
_MONTH: Final = r"(?:0?[1-9]|1[0-2])"
_YEAR: Final = r"(?:19|20)\d{2}"
_FULL_MONTHS: Final = (
    r"(?:January|February|March|April|May|June|July|August|September|October|November|December)"
)
_SHORT_MONTHS: Final = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sept?|Oct|Nov|Dec)\.?"
_MONTH_NAME: Final = rf"(?:{_FULL_MONTHS}|{_SHORT_MONTHS})"
_NAME: Final = r"(?:[A-Z]\.\s?)*[A-Z][a-z]+(?:[-'][A-Z]?[a-z]+)*"

_PATTERNS: Final[dict[str, tuple[str, ...]]] = {
    "date": (
        # 2024-03-12, 2024/3/12, 2024. 3. 12., 2024년 3월 12일
        rf"(?<!\d){_YEAR}\s?[-./년]\s?{_MONTH}\s?[-./월]\s?{_DAY}(?!\d)",
        # 12/03/2024, 12.03.2024, 12-03-2024
        rf"(?<![\d.]){_DAY}[-./]{_DAY}[-./]{_YEAR}(?!\d)",
        # 12/03/24: with slashes only, since "2.5.10" may be measures
        rf"(?<![\d/]){_DAY}/{_DAY}/\d{{2}}(?![\d/])",
        # 12 March 2024, 12th of Mar 2024, March 12, March 2024
        rf"\b{_DAY}(?:st|nd|rd|th)?(?:\s+of)?[\s-]+{_MONTH_NAME}(?![a-z])",
        rf"\b{_MONTH_NAME}\s+(?:{_YEAR}|{_DAY}(?:st|nd|rd|th)?)\b(?!\.\d)",
    ),
    "phone number": (
        r"(?<![\w.])\+\d{1,3}[\s.-]?\(?\d{1,4}\)?(?:[\s.-]?\d{2,4}){2,4}(?!\w)",
        r"(?<![\w.])\(\d{2,4}\)\s?\d{3,4}[\s.-]\d{3,4}(?!\w)",
        r"(?<![\w.-])\d{2,4}[-.]\d{3,4}[-.]\d{4}(?![\w-])",
        r"(?i:\b(?:tel|phone|fax|mobile)\b)[\s.:#]*\+?\d[\d\s().-]{5,}",
    ),
    "e-mail address": (r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+",),
    "record number": (
        r"(?i:\b(?:mrn|pid|accession|acc\.?\s*no|chart\s*no|hospital\s*no|patient\s*id|pt\.?\s*id"
        r"|medical\s*record|registration\s*no|reg\.?\s*no|ssn|case\s*no)\b)"
        r"[\s.:#=]*(?i:no|number|nr|num)?[\s.:#=]*(?=[\w-]*\d)[\w-]{3,}",
        r"(?<![\w.-])\d{6}-[1-8]\d{6}(?!\w)",  # Korea's resident registration number
        r"(?<![\w.-])\d{3}-\d{2}-\d{4}(?!\w)",  # the United States' social security number
        r"(?<![\w.])[A-Z]{1,4}-?\d{6,}(?!\w)",
        r"(?<![\w.])\d{7,}(?![\w.]*\w)",
    ),
    "name of a person": (
        rf"\b(?:Dr|Drs|Prof|Mr|Mrs|Ms|Miss|Herr|Frau|Mme)\.?\s+{_NAME}",
        rf"\b{_NAME},?\s+(?:M\.?D\.?|Ph\.?D\.?|MBBS|FRCR)(?!\w)",
        r"(?im:(?:\b(?:patient(?:'s)?|pt\.?)\s+name|^\s*name|\bradiologist|\bphysician"
        r"|\battending|\bresident)\s*[:=])\s*\S",
        r"\b(?i:reported|signed|dictated|read|approved|confirmed|verified)\s+by:?\s+"
        rf"(?:(?i:dr|prof)\.?\s+)?{_NAME}",
        r"\b[A-Za-z]{2,}\^[A-Za-z]{2,}",  # DICOM's way of writing a name
    ),
}
_COMPILED: Final = {
    kind: tuple(re.compile(pattern) for pattern in patterns) for kind, patterns in _PATTERNS.items()
}
# A pseudonym holds hex digits and counters, so only what is surely none counts in an id.
_IN_IDS: Final = {
    "date": _COMPILED["date"][:2],
    "e-mail address": _COMPILED["e-mail address"],
    "record number": (re.compile(r"\d{7,}"), _COMPILED["record number"][1]),
    "name of a person": (_COMPILED["name of a person"][-1],),
}


def phi_kinds(text: str) -> tuple[str, ...]:
    """Return which kinds of identifying detail a free text seems to hold."""
    return tuple(
        kind
        for kind, patterns in _COMPILED.items()
        if any(pattern.search(text) for pattern in patterns)
    )


def phi_kinds_in_id(name: str) -> tuple[str, ...]:
    """Return which kinds an id seems to hold that should be a pseudonym."""
    found = {
        kind
        for kind, patterns in _IN_IDS.items()
        if any(
            pattern.fullmatch(name) if kind == "record number" else pattern.search(name)
            for pattern in patterns
        )
    }
    return tuple(kind for kind in _IN_IDS if kind in found)
