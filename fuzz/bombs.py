"""Small bytes that claim or unpack to gigabytes, made without ever holding them.

A run of compressed zeros that ends on a byte border (`Z_FULL_FLUSH`) may be repeated: the parts
stay one valid deflate stream. Checksums at the end are wrong on purpose; nobody may get there.
"""

from __future__ import annotations

import struct
import zlib
from functools import cache

_RUN_BYTES = 2**22


@cache
def _zeros_run() -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(bytes(_RUN_BYTES)) + packer.flush(zlib.Z_FULL_FLUSH)


def deflated(prefix: bytes, num_zeros: int) -> bytes:
    """Return a raw deflate stream of `prefix` and about `num_zeros` zeros."""
    packer = zlib.compressobj(1, zlib.DEFLATED, -15)
    start = packer.compress(prefix) + packer.flush(zlib.Z_FULL_FLUSH)
    end = zlib.compressobj(1, zlib.DEFLATED, -15).flush()
    return start + _zeros_run() * max(1, num_zeros // _RUN_BYTES) + end


def gzip_bomb(prefix: bytes, num_zeros: int) -> bytes:
    """Return a gzip of `prefix` and about `num_zeros` zeros."""
    return b"\x1f\x8b\x08\0\0\0\0\0\0\xff" + deflated(prefix, num_zeros) + struct.pack("<II", 1, 1)


def zlib_bomb(prefix: bytes, num_zeros: int) -> bytes:
    """Return a zlib stream of `prefix` and about `num_zeros` zeros."""
    return b"\x78\x01" + deflated(prefix, num_zeros) + b"\0\0\0\1"
