"""A report cut into sentences and clauses, each in a normal form beside its own words.

The normal form is lower-case English with sides written out and arrows, list marks and symptoms
taken away; rules run over it, and a person is shown the sentence as it was written. Sections
that speak of the request and not of the images (indication, history, technique, comparison) are
left out. A clause is what one negation can reach: it ends where another statement begins.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

_HEADING: Final = re.compile(
    r"(?:(?<=\n)|^|(?<=\. ))[ \t]*(?P<name>clinical (?:information|history|indication|data)"
    r"|reason for (?:exam\w*|study)|indication|history|technique|protocol|comparison|hx|findings?"
    r"|impression|conclusions?|opinion|diagnosis)[ \t]*:",
    re.IGNORECASE,
)
_NOT_ABOUT_IMAGES: Final = (
    "clinical", "reason", "indication", "history", "technique", "protocol", "comparison",
    "hx",
)  # fmt: skip
_CONCLUDING: Final = ("impression", "conclusion", "opinion", "diagnosis")

_ARROW: Final = re.compile(r"→|⇒|-+>|=+>")
_ABBREVIATED_SIDE: Final = ((r"\b(?:lt|l)\. ?", "left "), (r"\b(?:rt|r)\. ?", "right "))
_SENTENCE_END: Final = re.compile(r"\n|(?<!\b\d)[.!]\s+|(?<=\w)\?(?=\s|$)|[.!]$")
_LIST_MARK: Final = re.compile(r"^[\s\-*•#]*(?:\(?\d{1,2}[.)](?!\d))?[\s\-*•]*")

_REWRITES: Final = tuple(
    (re.compile(pattern), plain)
    for pattern, plain in (
        (r"\bacute inf\b\.?", "acute infarct "), (r"\bterr\b\.?", "territory "),
        (r"\bf(?=[- ]lobe)", "frontal"), (r"\bp(?=[- ]lobe)", "parietal"),
        (r"\bt(?=[- ]lobe)", "temporal"), (r"\bo(?=[- ]lobe)", "occipital"),
        (r"\bneg\b\.?", "negative"),
        (r"좌측", "left "), (r"우측", "right "), (r"양측", "both "), (r"급성", "acute "),
        (r"뇌경색", "infarct "), (r"없음|없다", " not seen "), (r"의심", " suspected "),
        (r"\blt\b|\(l\)|\bl(?=\s+[a-z]{3,})", "left"),
        (r"\brt\b|\(r\)|\br(?=\s+[a-z]{3,})", "right"),
        (r"\bbilat(?:eral(?:ly)?)?\b|\bbihemispheric\b", "both"),
        (r"^\s*\?\s*|\s\?\s*(?=[a-z])", " questionable "),
        (r"\br ?/ ?o\b|\brule out\b", "suspected"),
        (r"\b(?:left|right)[ -](?:sided? )?"
         r"(?:hemi(?:pare|pleg|ano)\w+|weakness|numbness|arm|leg|hand|face|facial)\b", " "),
        (r"ischaem", "ischem"), (r"oedema", "edema"), (r"artefact", "artifact"),
        (r"haem", "hem"), (r"signal intensity|signal change|signals?\b", "si"),
        (r"diffusion[- ]weighted (?:imag\w+|mri?)", "dwi"), (r"(?<=[a-z])[-‐–](?=[a-z])", " "),
        (r"\s+", " "),
    )
)  # fmt: skip


@dataclass(frozen=True)
class Sentence:
    """A sentence of the images' part of a report.

    Attributes:
        index: its place among the sentences kept, from 0.
        words: as written.
        plain: the normal form.
        concludes: it stands under an impression or after an arrow.
    """

    index: int
    words: str
    plain: str
    concludes: bool


def split_sentences(text: str) -> tuple[Sentence, ...]:
    """Return the sentences that speak of the images, in order."""
    kept: list[Sentence] = []
    for body, concludes in _sections(text.replace("\r\n", "\n").replace("\r", "\n")):
        for words, after_arrow in _pieces(body):
            plain = normal_form(words)
            if re.search(r"\w", plain):
                kept.append(Sentence(len(kept), words.strip(), plain, concludes or after_arrow))
    return tuple(kept)


def normal_form(words: str) -> str:
    """Return a sentence in lower case with sides and field words written in one way."""
    plain = words.lower()
    for pattern, side in _ABBREVIATED_SIDE:
        plain = re.sub(pattern, side, plain)
    plain = _LIST_MARK.sub("", plain)
    for pattern_, replacement in _REWRITES:
        plain = pattern_.sub(replacement, plain)
    return plain.strip()


def _sections(text: str) -> Iterator[tuple[str, bool]]:
    """Yield the text of each section that counts, and whether it concludes."""
    headings = list(_HEADING.finditer(text))
    first = headings[0].start() if headings else len(text)
    yield text[:first], False
    followers = [*headings[1:], None] if headings else []
    for heading, following in zip(headings, followers, strict=True):
        name = heading["name"].lower()
        body = text[heading.end() : following.start() if following else len(text)]
        if not name.startswith(_NOT_ABOUT_IMAGES):
            yield body, name.startswith(_CONCLUDING)


def _pieces(body: str) -> Iterator[tuple[str, bool]]:
    for number, part in enumerate(_ARROW.split(body)):
        # "Lt." and "1." end no sentence; the marks are put back by cutting the original.
        masked = re.sub(
            r"(?i)\b([lr]t?|approx|e\.g|i\.e|vs|dr|inf|sup|ant|post|lat|med|br|terr|neg)\.",
            r"\1_",
            part,
        )
        start = 0
        for end in _SENTENCE_END.finditer(masked):
            yield part[start : end.end()], number > 0
            start = end.end()
        yield part[start:], number > 0
