"""The registry row in words: the prompt's line, and the three report parts made from it.

Registry text is data from outside. `clean_text` takes away everything by which it could look
like a section, a new line, or a chat token of the model. The parts of the report that repeat
the registry are written here by code and never by the language model, so that they cannot be
invented. Nothing here judges whether a value is plausible (`contracts.study` does).
"""

from __future__ import annotations

import re
import unicodedata

from pirta.contracts.study import Registry

UNKNOWN = "unknown"
NO_HISTORY = "none recorded"

_BREAKING_CATEGORIES = frozenset({"Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp"})


def clean_text(text: str) -> str:
    """Return `text` on one line, without control characters, headings or chat tokens.

    Control, format and line-separator characters become spaces, runs of white space one space;
    `###` becomes `#`, and `<|` and `|>` are taken apart so that no tokenizer reads them as a
    special token. What is left is what a person would have read.
    """
    spaced = "".join(
        " " if unicodedata.category(character) in _BREAKING_CATEGORIES else character
        for character in text
    )
    spaced = re.sub(r"#{2,}", "#", spaced)
    spaced = spaced.replace("<|", "< |").replace("|>", "| >")
    return " ".join(spaced.split())


def registry_line(registry: Registry) -> str:
    """Return the row as in Table 3: "75-year-old, Female, Altered Mentality, 32.0, HTN, Afib,"."""
    fields = [
        UNKNOWN if registry.age_years is None else f"{registry.age_years}-year-old",
        registry.sex or UNKNOWN,
        clean_text(registry.presentation or "") or UNKNOWN,
        nihss_text(registry),
        *(_history_items(registry) or [UNKNOWN]),
    ]
    return ", ".join(fields) + ","


def presentation_sentence(registry: Registry) -> str:
    """Return "A 75-year-old Female patient with Altered Mentality."; unknown parts are left out."""
    words = ["patient with", clean_text(registry.presentation or "").rstrip(".")]
    if not words[1]:
        words[1] = "unknown presentation"
    if registry.sex is not None:
        words.insert(0, registry.sex)
    article = "A"
    if registry.age_years is not None:
        words.insert(0, f"{registry.age_years}-year-old")
        article = "An" if _starts_with_vowel(registry.age_years) else "A"
    return f"{article} {' '.join(words)}."


def nihss_text(registry: Registry) -> str:
    """Return the NIHSS with one decimal as in Table 3 ("32.0")."""
    return UNKNOWN if registry.nihss is None else f"{registry.nihss:.1f}"


def history_text(registry: Registry) -> str:
    """Return the past medical history as "HTN, Afib"."""
    return ", ".join(_history_items(registry)) or NO_HISTORY


def _history_items(registry: Registry) -> list[str]:
    cleaned = (clean_text(item) for item in registry.history)
    return [item for item in cleaned if item]


def _starts_with_vowel(number: int) -> bool:
    """Whether a number's English name starts with a vowel (eight, eleven, eighteen, eighty)."""
    return number in (8, 11, 18) or 80 <= number <= 89
