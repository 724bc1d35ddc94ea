"""Damage that knows archives: absurd members, false sizes, locks, bombs, archives in archives.

Each function takes a generator of random numbers and a study in one archive, and returns the
damaged study.
"""

from __future__ import annotations

import io
import struct
import tarfile
import zipfile
from collections.abc import Callable, Mapping

import numpy as np

from fuzz.archive_seeds import Kind, pack, unpack_plainly
from fuzz.bombs import deflated, gzip_bomb
from fuzz.byte_mutators import Mutator
from fuzz.study import FILE_STEM, PATIENT, Study

NAME = "archive"


def odd_members(rng: np.random.Generator, study: Study) -> Study:
    """Put members with odd names among the files: up and away, absolute, endless, empty."""
    names = ("../../etc/passwd", "/etc/passwd", "C:\\x", "a/" * 5000 + "x", PATIENT, ".hidden",
             "__MACOSX/._x", "\x7f\x01", "ü" * 300, "con", "..", "study/../x")  # fmt: skip
    files = _files(study)
    if files is None:
        return study
    odd = {str(name): b"x" * int(rng.integers(100)) for name in rng.choice(names, 3, replace=False)}
    return _packed(rng, study, {**odd, **files}, "odd members")


def many_members(rng: np.random.Generator, study: Study) -> Study:
    """Hold more files than a study can have."""
    files = {f"{FILE_STEM}_{number}": b"" for number in range(20_500)}
    return _packed(rng, study, files, "20,500 members").refused("more files than a study has")


def false_sizes(rng: np.random.Generator, study: Study) -> Study:
    """Write another size, offset or checksum into a zip's directory or a tar's header."""
    data = bytearray(study.parts[NAME])
    marks = (b"PK\x01\x02", b"PK\x03\x04", b"PK\x05\x06", b"ustar")
    places = [place for mark in marks for place in _all(bytes(data), mark)]
    if not places:
        return study
    place = places[int(rng.integers(len(places)))]
    start = place + int(rng.integers(4, 46)) if data[place : place + 2] == b"PK" else place - 140
    value = int(rng.choice([0, 1, 0x7FFFFFFF, 0xFFFFFFFF, 0xFFFFFFFE]))
    start = max(0, min(start, len(data) - 4))
    data[start : start + 4] = struct.pack("<I", value)
    return study.with_part(NAME, bytes(data), f"{value} at {start}")


def locked(rng: np.random.Generator, study: Study) -> Study:
    """Say that the members are encrypted, or packed by another method."""
    data = bytearray(study.parts[NAME])
    method = int(rng.choice([0, 12, 14, 93, 97, 99]))
    for mark, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        for start in _all(bytes(data), mark):
            if method:
                data[start + place + 2 : start + place + 4] = struct.pack("<H", method)
            else:
                data[start + place] |= 1
    return study.with_part(NAME, bytes(data), f"locked or of method {method}")


def bomb(rng: np.random.Generator, study: Study) -> Study:
    """Unpack to gigabytes: a zip that admits it, a zip that does not, or a tar.gz."""
    kind = int(rng.integers(3))
    if kind == 2:
        header = tarfile.TarInfo(FILE_STEM)
        header.size = 2**33
        data = gzip_bomb(header.tobuf(), 2**33)
    else:
        data = _zip_bomb(2**33 if kind == 0 else 100)
    return study.with_part(NAME, data, f"archive bomb ({kind})").refused("zeros without end")


def overlapping(rng: np.random.Generator, study: Study) -> Study:
    """List one packed megabyte a thousand times: a zip that grows without nesting."""
    del rng
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("0", bytes(2**20))
        (first,) = archive.infolist()
        for number in range(1, 2000):
            again = zipfile.ZipInfo(str(number))
            for field in ("header_offset", "CRC", "compress_size", "file_size", "compress_type"):
                setattr(again, field, getattr(first, field))
            archive.filelist.append(again)
            archive.NameToInfo[again.filename] = again
    return study.with_part(NAME, stream.getvalue(), "overlapping members").refused("a zip bomb")


def nested(rng: np.random.Generator, study: Study) -> Study:
    """Put the archive into an archive, one to ten times."""
    data = study.parts[NAME]
    for _ in range(int(rng.choice([1, 2, 10]))):
        data = pack({"inner": data}, _kind(rng))
    return study.with_part(NAME, data, "archive in an archive")


def links(rng: np.random.Generator, study: Study) -> Study:
    """Put links, devices and sparse files into a tar."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for number, kind in enumerate((tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE,
                                       tarfile.FIFOTYPE)):  # fmt: skip
            if rng.random() < 0.6:
                member = tarfile.TarInfo(f"{FILE_STEM}_{number}")
                member.type, member.linkname = kind, "/etc/passwd"
                tar.addfile(member)
        for name, data in (_files(study) or {}).items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return study.with_part(NAME, stream.getvalue(), "links and devices")


def inside(mutate: Callable[[np.random.Generator, Study], Study]) -> Mutator:
    """Return a mutator that damages the files and packs them again."""

    def damaged(rng: np.random.Generator, study: Study) -> Study:
        files = _files(study)
        if not files:
            return study
        bag = mutate(rng, Study(parts=files, form="bag", format=study.format))
        packed = _packed(rng, study, bag.parts, "; ".join(bag.notes))
        return packed.refused(bag.must_refuse) if bag.must_refuse else packed

    return damaged


def _zip_bomb(claimed: int) -> bytes:
    packed = deflated(b"", 2**33)
    name = FILE_STEM.encode()
    sizes = struct.pack("<III", 0, len(packed), min(claimed, 0xFFFFFFFF))
    local = struct.pack("<4s5H", b"PK\x03\x04", 20, 0, 8, 0, 0) + sizes
    local += struct.pack("<HH", len(name), 0) + name
    entry = struct.pack("<4s6H", b"PK\x01\x02", 20, 20, 0, 8, 0, 0) + sizes
    entry += struct.pack("<5H2I", len(name), 0, 0, 0, 0, 0, 0) + name
    start = len(local) + len(packed)
    return (
        local
        + packed
        + entry
        + struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, 1, 1, len(entry), start, 0)
    )


def _files(study: Study) -> dict[str, bytes] | None:
    """Return the members as long as they are few and small, as in a study not yet damaged."""
    data = study.parts.get(NAME, b"")
    if len(data) > 2**20:
        return None
    try:
        return unpack_plainly(data)
    except Exception:  # noqa: BLE001 - damaged before; there is nothing left to know
        return None


def _packed(rng: np.random.Generator, study: Study, files: Mapping[str, bytes], note: str) -> Study:
    return study.with_part(NAME, pack(files, _kind(rng)), note)


def _kind(rng: np.random.Generator) -> Kind:
    kinds: tuple[Kind, ...] = ("zip", "tar", "tar.gz")
    return kinds[int(rng.integers(3))]


def _all(data: bytes, mark: bytes) -> list[int]:
    found, place = [], data.find(mark)
    while place >= 0:
        found.append(place)
        place = data.find(mark, place + 1)
    return found


ARCHIVE_MUTATORS: Mapping[str, Mutator] = {
    "odd-members": odd_members,
    "many-members": many_members,
    "false-sizes": false_sizes,
    "locked": locked,
    "archive-bomb": bomb,
    "overlapping": overlapping,
    "nested-archive": nested,
    "links": links,
}
