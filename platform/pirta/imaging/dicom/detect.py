"""Is this file DICOM? Told by its first bytes, never by its name.

A DICOM file has the letters DICM after a preamble of 128 bytes. Old senders leave preamble and
meta header out: then the file must begin with a short element of group 0008 (or with the meta
header itself), and nothing else is taken for DICOM. Nothing is parsed here.
"""

from __future__ import annotations

PREAMBLE_BYTES = 128

_SHORT_VRS = frozenset({b"UL", b"UI", b"CS", b"SH", b"DA", b"TM", b"LO", b"DT"})
_LAST_FIRST_ELEMENT = 0x0023
_LONGEST_FIRST_VALUE = 128
_CLASS_ELEMENT = b"\x02\x00\x02\x00UI"
_MOST_META_BYTES = 1024


def is_dicom(data: bytes) -> bool:
    """Return whether `data` begins as a DICOM file does."""
    return has_preamble(data) or _begins_with_an_element(data)


def has_preamble(data: bytes) -> bool:
    """Return whether `data` has the preamble and prefix of DICOM PS3.10, section 7.1."""
    return data[PREAMBLE_BYTES : PREAMBLE_BYTES + 4] == b"DICM"


def class_told(data: bytes) -> str:
    """Return the SOP class that the meta header tells, empty where it tells none."""
    start = data.find(_CLASS_ELEMENT, PREAMBLE_BYTES, PREAMBLE_BYTES + _MOST_META_BYTES)
    if start < 0:
        return ""
    value = start + len(_CLASS_ELEMENT) + 2
    length = int.from_bytes(data[value - 2 : value], "little")
    return data[value : value + length].rstrip(b"\0 ").decode("latin-1")


def _begins_with_an_element(data: bytes) -> bool:
    if len(data) < 16:
        return False
    group, element = int.from_bytes(data[:2], "little"), int.from_bytes(data[2:4], "little")
    if group not in (0x0002, 0x0008) or element > _LAST_FIRST_ELEMENT:
        return False
    explicit_length = int.from_bytes(data[6:8], "little")
    if data[4:6] in _SHORT_VRS:
        return explicit_length % 2 == 0 and explicit_length <= _LONGEST_FIRST_VALUE
    implicit_length = int.from_bytes(data[4:8], "little")
    return implicit_length % 2 == 0 and 0 < implicit_length <= _LONGEST_FIRST_VALUE
