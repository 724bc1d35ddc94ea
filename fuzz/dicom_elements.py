"""The elements of a DICOM file found in its bytes, to put in what no writer would write.

Explicit VR little endian only; a file in another syntax has no elements here. Nothing is parsed.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass

LONG_VRS = (b"OB", b"OW", b"SQ", b"UN", b"UT")
_VRS = b"AE|AS|AT|CS|DA|DS|DT|FD|FL|IS|LO|LT|OB|OW|PN|SH|SL|SQ|SS|ST|TM|UI|UL|UN|US|UT"

TAGS = {
    "ImageType": (0x0008, 0x0008, "CS"), "SOPClassUID": (0x0008, 0x0016, "UI"),
    "SOPInstanceUID": (0x0008, 0x0018, "UI"), "SliceThickness": (0x0018, 0x0050, "DS"),
    "SpacingBetweenSlices": (0x0018, 0x0088, "DS"), "DiffusionBValue": (0x0018, 0x9087, "FD"),
    "Direction": (0x0018, 0x9089, "FD"), "SeriesInstanceUID": (0x0020, 0x000E, "UI"),
    "InstanceNumber": (0x0020, 0x0013, "IS"), "Position": (0x0020, 0x0032, "DS"),
    "Orientation": (0x0020, 0x0037, "DS"), "FrameOfReferenceUID": (0x0020, 0x0052, "UI"),
    "SamplesPerPixel": (0x0028, 0x0002, "US"), "Photometric": (0x0028, 0x0004, "CS"),
    "NumberOfFrames": (0x0028, 0x0008, "IS"), "Rows": (0x0028, 0x0010, "US"),
    "Columns": (0x0028, 0x0011, "US"), "PixelSpacing": (0x0028, 0x0030, "DS"),
    "BitsAllocated": (0x0028, 0x0100, "US"), "BitsStored": (0x0028, 0x0101, "US"),
    "HighBit": (0x0028, 0x0102, "US"), "PixelRepresentation": (0x0028, 0x0103, "US"),
    "RescaleIntercept": (0x0028, 0x1052, "DS"), "RescaleSlope": (0x0028, 0x1053, "DS"),
    "RescaleType": (0x0028, 0x1054, "LO"), "TransferSyntaxUID": (0x0002, 0x0010, "UI"),
    "AcquisitionTime": (0x0008, 0x0032, "TM"), "PhilipsB": (0x2001, 0x1003, "FL"),
    "CsaHeader": (0x0029, 0x1010, "OB"), "PixelData": (0x7FE0, 0x0010, "OW"),
}  # fmt: skip


@dataclass(frozen=True)
class Element:
    """Where an element stands: its tag's first byte, its value's first, and the length stated."""

    start: int
    value: int
    length: int
    vr: bytes


def find(data: bytes, name: str) -> list[Element]:
    """Return every place where an element's tag stands with its VR."""
    group, element, vr = TAGS[name]
    tag = struct.pack("<HH", group, element) + vr.encode()
    found = []
    place = data.find(tag)
    while place >= 0:
        found += _at(data, place)
        place = data.find(tag, place + 1)
    return found


def everything(data: bytes) -> list[Element]:
    """Return what looks like an element anywhere in the first bytes of a file."""
    pattern = re.compile(rb"(?s).{2}.{2}(?:" + _VRS + rb")")
    return [one for match in pattern.finditer(data, 132, 6000) for one in _at(data, match.start())]


def with_value(data: bytes, element: Element, value: bytes) -> bytes:
    """Return the file with another value of an element, and the length to match."""
    vr = element.vr
    long = vr in LONG_VRS
    length = struct.pack("<I", len(value)) if long else struct.pack("<H", len(value) % 65536)
    head = data[: element.start + 6] + (b"\0\0" if long else b"") + length
    return head + value + data[element.value + element.length :]


def _at(data: bytes, place: int) -> list[Element]:
    vr = data[place + 4 : place + 6]
    start, code, size = (place + 8, "<I", 4) if vr in LONG_VRS else (place + 6, "<H", 2)
    if len(data) < start + size:
        return []
    (length,) = struct.unpack(code, data[start : start + size])
    value = start + size
    if length == 0xFFFFFFFF or value + length > len(data):
        length = 0
    return [Element(place, value, length, vr)]
