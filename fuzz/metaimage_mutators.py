"""Damage that knows MetaImage: absurd, missing, repeated and endless header lines, and bombs.

Each function takes a generator of random numbers and a study, and returns the damaged study.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from fuzz.bombs import zlib_bomb
from fuzz.byte_mutators import Mutator, pick
from fuzz.study import FILE_STEM, PATIENT, Study

_NUMBERS = ("0", "-1", "nan", "inf", "1e30", "1e-30", "1e400", "", PATIENT, "9" * 4000, "0x10", "½")
_WORDS = {
    "NDims": ("0", "1", "2", "4", "3.5", "-3", "1000000000", "nan", PATIENT),
    "ObjectType": ("Mesh", "", PATIENT),
    "BinaryData": ("False", "maybe"),
    "CompressedData": ("True", "False", "maybe"),
    "BinaryDataByteOrderMSB": ("True", "maybe"),
    "ElementType": (
        "MET_UCHAR", "MET_DOUBLE", "MET_FLOAT", "MET_LONG", "MET_OTHER", "MET_" + PATIENT, "",
    ),
    "ElementDataFile": ("LIST", "LOCAL 1", f"{FILE_STEM}.raw", "/etc/passwd", "../x", ""),
    "DimSize": (
        "1000 1000 1000", "65536 65536 65536", "0 22 12", "20 22", "20 22 12 2", "-20 22 12",
        "20.5 22 12", "1e9 1 1", "20 22 13", "20 12 22", PATIENT,
    ),
    "TransformMatrix": (
        "1 0 0 1 0 0 0 0 1", "0 0 0 0 0 0 0 0 0", "1 0 0 0 1 0", "nan 0 0 0 1 0 0 0 1",
        "2 0 0 0 2 0 0 0 2", "0 1 0 0 0 1 1 0 0", "1e30 0 0 0 1 0 0 0 1",
    ),
    "CompressedDataSize": ("0", "-1", "10", "1e30", PATIENT),
}  # fmt: skip
_EXTRA = (
    "HeaderSize = -1", "HeaderSize = 1000000000000", "ElementNumberOfChannels = 3",
    "ElementNumberOfChannels = 1000000000", "Comment = " + "x" * 100_000, "DimSize = 1 1 1",
    "ElementSpacing = 1 1 1", "ElementByteOrderMSB = True", "no line at all", "=", " = = ",
    "Offset = 1 2 3", "Orientation = 0 1 0 1 0 0 0 0 1", "NDims = 2",
)  # fmt: skip


def odd_line(rng: np.random.Generator, study: Study) -> Study:
    """Give a header line another value."""
    name = str(rng.choice([*_WORDS, "ElementSpacing", "Offset"]))
    if name in _WORDS:
        value = str(rng.choice(_WORDS[name]))
    else:
        numbers = ["8", "8", "10"]
        numbers[int(rng.integers(3))] = str(rng.choice(_NUMBERS))
        value = " ".join(numbers)
    return _with_line(rng, study, name, value)


def huge_claim(rng: np.random.Generator, study: Study) -> Study:
    """Claim a billion voxels and more."""
    value = str(rng.choice(["1000 1000 1000", "65536 65536 65536", "1290 1290 1290"]))
    return _with_line(rng, study, "DimSize", value).refused("more voxels than bytes")


def extra_line(rng: np.random.Generator, study: Study) -> Study:
    """Put a line in, at any place."""
    name = pick(rng, study)
    header, end, body = study.parts[name].partition(b"ElementDataFile")
    lines = header.split(b"\n")
    extra = str(rng.choice(_EXTRA))
    lines.insert(int(rng.integers(len(lines))), extra.encode())
    return study.with_part(name, b"\n".join(lines) + end + body, f"line put in: {extra[:40]}")


def lost_line(rng: np.random.Generator, study: Study) -> Study:
    """Leave a header line out."""
    name = pick(rng, study)
    header, end, body = study.parts[name].partition(b"ElementDataFile")
    lines = header.split(b"\n")
    lost = lines.pop(int(rng.integers(len(lines))))
    return study.with_part(
        name, b"\n".join(lines) + end + body, f"line lost: {lost[:30].decode('latin-1')}"
    )


def endless_header(rng: np.random.Generator, study: Study) -> Study:
    """Let a header go on for megabytes."""
    name = pick(rng, study)
    lines = (b"Comment = x\n", b"A = " + b" " * 4000 + b"\n", b"Comment = " + b" " * 100_000)
    line = lines[int(rng.integers(3))]
    data = b"ObjectType = Image\n" + line * min(int(rng.choice([100, 50_000])), 2**23 // len(line))
    return study.with_part(name, data, "endless header").refused("no voxels")


def bomb(rng: np.random.Generator, study: Study) -> Study:
    """Let compressed voxels go on for gigabytes."""
    name = pick(rng, study)
    header, end, body = study.parts[name].partition(b"LOCAL\n")
    header = header.replace(b"CompressedData = False", b"CompressedData = True")
    prefix = body[:1000] if rng.random() < 0.5 else b""
    return study.with_part(name, header + end + zlib_bomb(prefix, 2**32), "zlib bomb").refused(
        "zeros without end"
    )


def _with_line(rng: np.random.Generator, study: Study, field: str, value: str) -> Study:
    name = pick(rng, study)
    header, end, body = study.parts[name].partition(b"LOCAL\n")
    lines = (header + end.rstrip(b"\n")).split(b"\n")
    changed = [
        f"{field} = {value}".encode() if line.startswith(field.encode() + b" ") else line
        for line in lines
    ]
    return study.with_part(name, b"\n".join(changed) + b"\n" + body, f"{field} = {value[:40]}")


METAIMAGE_MUTATORS: Mapping[str, Mutator] = {
    "odd-line": odd_line,
    "odd-line-again": odd_line,
    "huge-claim": huge_claim,
    "extra-line": extra_line,
    "lost-line": lost_line,
    "endless-header": endless_header,
    "bomb": bomb,
}
