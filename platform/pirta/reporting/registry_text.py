"""The registry row in words: the prompt's line, and the three report parts made from it.

Registry text is data from outside, and is used twice. The prompt gets a copy in which nothing
can look like a section, a new line or a chat token (`untrusted_text.neutral_text`). The parts of
the report that repeat the registry are written here by code and never by the language model, and
show what was handed over to the letter (`untrusted_text.shown_text`). Nothing here judges
whether a value is plausible (`contracts.study` does).
"""

from __future__ import annotations

from collections.abc import Callable

from pirta.contracts.study import Registry
from pirta.reporting.untrusted_text import neutral_text, shown_text

UNKNOWN = "unknown"
NO_HISTORY = "none recorded"


def registry_line(registry: Registry) -> str:
    """Return the row as in Table 3: "75-year-old, Female, Altered Mentality, 32.0, HTN, Afib,"."""
    fields = [
        UNKNOWN if registry.age_years is None else f"{registry.age_years}-year-old",
        registry.sex or UNKNOWN,
        neutral_text(registry.presentation or "") or UNKNOWN,
        nihss_text(registry),
        *(_history_items(registry, neutral_text) or [UNKNOWN]),
    ]
    return ", ".join(fields) + ","


def presentation_sentence(registry: Registry) -> str:
    """Return "A 75-year-old Female patient with Altered Mentality."; unknown parts are left out."""
    words = ["patient with", shown_text(registry.presentation or "").rstrip(".")]
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
    return ", ".join(_history_items(registry, shown_text)) or NO_HISTORY


def without_words(registry: Registry) -> Registry:
    """Return the row with its numbers and its sex, and nothing that somebody typed freely."""
    return registry.model_copy(update={"presentation": None, "history": ()})


def _history_items(registry: Registry, made_safe: Callable[[str], str]) -> list[str]:
    items = (made_safe(item) for item in registry.history)
    return [item for item in items if item]


def _starts_with_vowel(number: int) -> bool:
    """Whether a number's English name starts with a vowel (eight, eleven, eighteen, eighty)."""
    return number in (8, 11, 18) or 80 <= number <= 89
