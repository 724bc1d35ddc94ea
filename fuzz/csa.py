"""A Siemens CSA header, by nibabel's notes ("Siemens format DICOM with CSA header")."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence


def csa_header(tags: Mapping[str, Sequence[str]]) -> bytes:
    """Return a type 2 header (SV10) with these tags, each a list of texts."""
    found = b"SV10\4\3\2\1" + struct.pack("<II", len(tags), 77)
    for name, items in tags.items():
        kind = b"LO" if name.endswith("Name") else b"DS"
        found += struct.pack("<64si4siii", name.encode(), len(items), kind, 0, len(items), 77)
        for item in items:
            text = item.encode() + b"\0"
            found += struct.pack("<4i", len(text), len(text), 77, len(text))
            found += text + bytes(-len(text) % 4)
    return found
