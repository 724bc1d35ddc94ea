"""What must not stand in a row of an index: who a text speaks of, and ids that are no pseudonyms.

Free texts are read by the rules of `pirta.reporting.deidentify`, which takes identifiers away where
it is asked to; here it is asked whether any is left. Like it, this is a net and no proof. What is
found is named by its kind, never by the text.
"""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import Final

from pirta.reporting.deidentify import Kind, find_identifiers

_WORDS: Final = MappingProxyType(
    {
        Kind.DATE: "date",
        Kind.PHONE: "phone number",
        Kind.EMAIL: "e-mail address",
        Kind.URL: "web address",
        Kind.ID: "record number",
        Kind.PLACE: "place",
        Kind.AGE: "age over 89",
        Kind.NAME: "name of a person",
    }
)
# A pseudonym holds hex digits and counters, so only what is surely none counts in an id.
_IN_IDS: Final = (
    ("date", re.compile(r".*(?<!\d)(?:19|20)\d{2}[-./](?:0?[1-9]|1[0-2])[-./]\d{1,2}(?!\d).*")),
    ("date", re.compile(r".*(?<!\d)\d{1,2}[-./]\d{1,2}[-./](?:19|20)\d{2}(?!\d).*")),
    ("e-mail address", re.compile(r".*[\w.+-]@[\w-]+\.[\w.-]+.*")),
    ("record number", re.compile(r"\d{7,}|\d{6}-[1-8]\d{6}")),
    ("name of a person", re.compile(r".*[A-Za-z]{2}\^[A-Za-z]{2}.*")),  # as DICOM writes it
)


def phi_kinds(text: str) -> tuple[str, ...]:
    """Return which kinds of identifying detail a free text seems to hold."""
    found = {span.kind for span in find_identifiers(text)}
    return tuple(word for kind, word in _WORDS.items() if kind in found)


def phi_kinds_in_id(name: str) -> tuple[str, ...]:
    """Return which kinds an id seems to hold that should be a pseudonym."""
    found = [kind for kind, pattern in _IN_IDS if pattern.fullmatch(name)]
    return tuple(dict.fromkeys(found))
