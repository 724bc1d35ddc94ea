"""Read a file front to back as what it holds, gzipped or not, and never more than is asked for.

A small file may unpack to gigabytes: only the bytes that a judged header accounts for are kept.
What follows them is read, up to a limit, and thrown away, because a gzip's checksum stands at its
end and damage inside is seen nowhere else. Every failure is one error that names the role.
"""

from __future__ import annotations

import gzip
import io
import zlib

from pirta.errors import FileUnreadableError

MAX_TRAILING_BYTES = 2**26
"""That may follow what a header accounts for."""

_GZIP_MAGIC = b"\x1f\x8b"
_CHUNK_BYTES = 2**20
_SEND_AGAIN = "Copy or convert the file again; the transfer may have been cut short."


class Unpacker:
    """Reads the file front to back, unpacked, and turns every gzip failure into one error."""

    def __init__(self, data: bytes, *, role: str) -> None:
        self._role = role
        raw = io.BytesIO(data)
        self._is_gzip = data[:2] == _GZIP_MAGIC
        self._stream = gzip.GzipFile(fileobj=raw) if self._is_gzip else raw
        self._seen = b""

    def peek(self, num_bytes: int) -> bytes:
        """Return the first `num_bytes` bytes, or fewer where the file ends before."""
        missing = num_bytes - len(self._seen)
        if missing > 0:
            self._seen += self._read(missing)
        return self._seen[:num_bytes]

    def finish(self, num_bytes: int) -> bytes:
        """Return exactly the first `num_bytes` bytes; a gzip checksum is verified with them."""
        self._stream.seek(0)  # joined to what was seen, all would be in memory twice
        found = self._read(num_bytes)
        self._drain()
        if len(found) < num_bytes:
            raise FileUnreadableError(
                f"The {self._role} file is cut short: {len(found)} of {num_bytes} bytes.",
                remedy=_SEND_AGAIN,
            )
        return found[:num_bytes]

    def _drain(self) -> None:
        """Read a gzip to its end, where its checksum is."""
        for _ in range(MAX_TRAILING_BYTES // _CHUNK_BYTES if self._is_gzip else 0):
            if not self._read(_CHUNK_BYTES):
                return
        if self._is_gzip:
            raise FileUnreadableError(
                f"The {self._role} file goes on far behind its voxels.", remedy=_SEND_AGAIN
            )

    def _read(self, num_bytes: int) -> bytes:
        try:
            return self._stream.read(num_bytes)
        except EOFError:
            raise FileUnreadableError(
                f"The {self._role} file is a gzip that is cut short.", remedy=_SEND_AGAIN
            ) from None
        except (zlib.error, gzip.BadGzipFile):
            raise FileUnreadableError(
                f"The {self._role} file is a damaged gzip.", remedy=_SEND_AGAIN
            ) from None
