"""Unpack a study's archive in memory: zip, tar or gzipped tar, within limits that hold.

What an archive claims is judged before it is unpacked, and what is unpacked is counted while
it comes, so that a small file cannot grow without end. Nothing is written to disk, so a member's
name can lead nowhere; names stay keys of the result and never enter a message, since they may
hold a patient's. Folders and hidden files (`.DS_Store`, `__MACOSX/`) are left out.
"""

from __future__ import annotations

import gzip
import io
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import PurePosixPath

from pirta.errors import ArchiveError, FileMissingError

MAX_MEMBERS = 20_000  # a series of 64 directions has about 4,000 slices
MAX_TOTAL_BYTES = 2**30
MAX_RATIO = 250
"""Unpacked over packed; a stripped DWI's zeros reach 50. Small archives may pass it."""

RATIO_FREE_BYTES = 2**24

_ZIP_MAGIC = (b"PK\x03\x04", b"PK\x05\x06")
_GZIP_MAGIC = b"\x1f\x8b"
_ENCRYPTED = 0x1
_PLAIN_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_BLOCK = 512
_DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    tarfile.TarError,
    EOFError,
    OSError,
    ValueError,
    OverflowError,
    struct.error,
    RecursionError,
    NotImplementedError,
    IndexError,
)
_SEND_PLAIN = "Pack the study's files into one plain zip or tar.gz."


def is_archive(data: bytes) -> bool:
    """Say whether these bytes begin like a zip, a tar or a gzipped tar."""
    return _kind(data) is not None


def unpack(data: bytes) -> dict[str, bytes]:
    """Return an archive's files, name to bytes, in the archive's order.

    An archive inside (an office document is one) stays packed, a file like any other.

    Raises:
        ArchiveError: no archive, damaged, locked by a password, nothing but archives or a link
            inside, a name twice, or more members or bytes than a study can have.
        FileMissingError: there is no file in it.
    """
    kind = _kind(data)
    if kind is None:
        raise ArchiveError("The study is no zip and no tar archive.", remedy=_SEND_PLAIN)
    found: dict[str, bytes] = {}
    total = 0
    try:
        for name, content in _zip(data) if kind == "zip" else _tar(data, packed=kind == "gzip"):
            total += len(content)
            _check_total(total, len(data))
            if name in found:
                raise ArchiveError("The archive holds one name twice.", remedy=_SEND_PLAIN)
            found[name] = content
    except _DAMAGED as error:
        raise ArchiveError(
            f"The archive cannot be unpacked ({type(error).__name__}) after {len(found)} files.",
            remedy="Pack or copy it again; the transfer may have been cut short.",
        ) from None
    if found and all(map(is_archive, found.values())):
        raise ArchiveError("The archive holds another archive and no image.", remedy=_SEND_PLAIN)
    if not found:
        raise FileMissingError("The archive holds no file.", remedy=_SEND_PLAIN)
    return found


def is_hidden(name: str) -> bool:
    """Say whether a path leads through a hidden file or folder, or macOS's own."""
    parts = PurePosixPath(name.replace("\\", "/")).parts
    return any(part.startswith(".") or part == "__MACOSX" for part in parts)


def check_num_files(number: int, *, where: str) -> None:
    """Refuse more files than a study can have.

    Raises:
        ArchiveError: above `MAX_MEMBERS`.
    """
    if number > MAX_MEMBERS:
        raise ArchiveError(
            f"The {where} holds more than {MAX_MEMBERS} files.",
            remedy="Send one study, or only its diffusion series.",
        )


def check_num_bytes(total: int, *, where: str) -> None:
    """Refuse more bytes than a study can have.

    Raises:
        ArchiveError: above `MAX_TOTAL_BYTES`.
    """
    if total > MAX_TOTAL_BYTES:
        raise ArchiveError(
            f"The {where} holds more than {MAX_TOTAL_BYTES // 2**20} MB.",
            remedy="Send only the diffusion series of one study.",
        )


def _kind(data: bytes) -> str | None:
    if data[:4] in _ZIP_MAGIC:
        return "zip"
    if data[:2] != _GZIP_MAGIC:
        return "tar" if _is_tar_block(data[:_BLOCK]) else None
    try:
        start = zlib.decompressobj(wbits=31).decompress(data[: 2**16], _BLOCK)
    except zlib.error:
        return None
    return "gzip" if _is_tar_block(start) else None


def _is_tar_block(block: bytes) -> bool:
    """Say whether this is a tar header: its checksum is verified."""
    try:
        tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except (tarfile.TarError, ValueError, OverflowError):
        return False
    return True


def _check_total(total: int, num_packed: int) -> None:
    check_num_bytes(total, where="archive")
    if total > RATIO_FREE_BYTES and total > MAX_RATIO * num_packed:
        raise ArchiveError(
            f"The archive unpacks to more than {MAX_RATIO} times its size.",
            remedy="Send images only; no image packs that well.",
        )


def _zip(data: bytes) -> Iterator[tuple[str, bytes]]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = [one for one in archive.infolist() if _counts(one.filename, one.is_dir())]
        check_num_files(len(members), where="archive")
        _check_total(sum(one.file_size for one in members), len(data))
        for member in members:
            if member.flag_bits & _ENCRYPTED:
                raise ArchiveError("The archive is locked by a password.", remedy=_SEND_PLAIN)
            if member.compress_type not in _PLAIN_METHODS:
                raise ArchiveError(
                    f"The archive is packed by method {member.compress_type}.",
                    remedy="Pack it as a plain (deflated) zip or as a tar.gz.",
                )
            with archive.open(member) as stream:  # `read` would unpack it all, whatever its size
                yield member.filename, stream.read(member.file_size + 1)


def _tar(data: bytes, *, packed: bool) -> Iterator[tuple[str, bytes]]:
    raw = io.BytesIO(data)
    stream = _Counted(gzip.GzipFile(fileobj=raw) if packed else raw, len(data))
    num_seen = 0
    with tarfile.open(fileobj=stream, mode="r|") as archive:  # type: ignore[call-overload]
        for member in archive:
            num_seen += 1
            check_num_files(num_seen, where="archive")
            if not _counts(member.name, member.isdir()):
                continue
            if not member.isreg() or member.issparse():
                raise ArchiveError(
                    "The archive holds a link or a special file.",
                    remedy="Pack with `tar --dereference --hard-dereference`.",
                )
            content = archive.extractfile(member)
            assert content is not None, "a regular file has content"
            found = content.read()
            if len(found) != member.size:
                raise EOFError
            yield member.name, found
    stream.check_end()


def _counts(name: str, is_folder: bool) -> bool:
    return not is_folder and not is_hidden(name)


class _Counted:
    """A stream that stops with an error once it has given more than a study can have."""

    def __init__(self, stream: gzip.GzipFile | io.BytesIO, num_packed: int) -> None:
        self._stream, self._num_packed, self._num_read = stream, num_packed, 0
        self._tail = b""

    def read(self, num_bytes: int) -> bytes:
        found = self._stream.read(num_bytes)
        self._num_read += len(found)
        self._tail = (self._tail + found)[-_BLOCK:]
        _check_total(self._num_read, self._num_packed)
        return found

    def check_end(self) -> None:
        """Read to the end, where a gzip's checksum is, and demand the tar's own end there.

        A tar cut between two members would else pass for a whole one, short of slices.
        """
        while self.read(2**20):
            pass
        if self._tail != bytes(_BLOCK):
            raise EOFError
