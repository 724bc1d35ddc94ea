"""Decode one frame at a time, after its header has been judged, and only when it is asked for.

Axis suffixes: R rows, C columns of one stored frame. The claim of the header (rows, columns,
bits, frames) is held against the bytes that are there before anything is decoded, so that a
small file cannot claim a huge image. Values come out as stored; rescaling is the slice's.
"""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.pixels.utils import pixel_array
from pydicom.uid import UID, RLELossless

from pirta.errors import FileUnreadableError
from pirta.imaging.dicom.parse import SEND_AGAIN, reading

MAX_FRAME_PIXELS = 2**24  # 4096 x 4096: a mosaic of 64 slices of 512 x 512
MAX_FRAMES = 2**16
MAX_SIDE = 2**13

_FRAME_HEADER = re.compile(rb"\xff[\xc0-\xc3\xc5-\xc7\xc9-\xcb\xcd-\xcf\xf7]")
"""Start of frame of JPEG and JPEG-LS: the image's own word on its size follows."""

_HEADER_LENGTHS = (11, 14, 17)
"""Of such a header with one, two or three colours."""


def check_pixels(dataset: Dataset, num_frames: int, *, role: str) -> None:
    """Refuse a header whose claim on the pixels cannot be true; nothing is decoded.

    Raises:
        FileUnreadableError: no pixels, an absurd size, pixels that are no integers, or fewer
            bytes than rows, columns and frames ask for, or more by a row.
    """
    rows, columns = int(dataset.get("Rows") or 0), int(dataset.get("Columns") or 0)
    bits = int(dataset.get("BitsAllocated") or 0)
    data = dataset.get("PixelData")
    if not isinstance(data, bytes) or not data:
        raise FileUnreadableError(f"{role} holds no pixels.", remedy=SEND_AGAIN)
    if not (0 < rows <= MAX_SIDE and 0 < columns <= MAX_SIDE) or (
        rows * columns > MAX_FRAME_PIXELS or not 0 < num_frames <= MAX_FRAMES
    ):
        raise FileUnreadableError(
            f"{role} claims {num_frames} frames of {rows}x{columns} pixels.",
            remedy=f"Up to {MAX_FRAMES} frames of up to {MAX_FRAME_PIXELS} pixels can be read.",
        )
    if bits not in (8, 16, 32):
        raise FileUnreadableError(
            f"{role} has {bits} bits a pixel; 8, 16 or 32 are possible.", remedy=SEND_AGAIN
        )
    needed = rows * columns * num_frames * bits // 8
    syntax = _syntax(dataset)
    if syntax.is_compressed and syntax != RLELossless:  # run lengths unpack to little
        _check_claims(data, rows * columns, role=role)
    if not syntax.is_compressed and len(data) < needed:
        raise FileUnreadableError(
            f"{role} is cut short: {len(data)} of {needed} bytes of pixels.", remedy=SEND_AGAIN
        )
    if not syntax.is_compressed and len(data) - needed >= columns * bits // 8:  # padding is less
        raise FileUnreadableError(
            f"{role} holds {len(data)} bytes of pixels where {num_frames} frames of "
            f"{rows}x{columns} take {needed}.",
            remedy=SEND_AGAIN,
        )


def decode_frame(dataset: Dataset, index: int, *, role: str) -> NDArray[np.float32]:
    """Return frame `index` (from 0) as stored, shape `(rows, columns)`.

    Raises:
        FileUnreadableError: damaged, cut short, or compressed in a way that cannot be read here.
    """
    syntax = _syntax(dataset)
    try:
        with reading(role):
            frame_RC = pixel_array(dataset, index=index, raw=True)
            shape = (int(dataset.Rows), int(dataset.Columns))
    except (FileUnreadableError, RuntimeError) as error:
        if not syntax.is_compressed and isinstance(error, FileUnreadableError):
            raise
        raise FileUnreadableError(
            f"{role} cannot be decoded (transfer syntax {_name(syntax)}).",
            remedy="Export the series uncompressed (Explicit VR Little Endian).",
        ) from None
    if frame_RC.shape != shape:
        raise FileUnreadableError(
            f"{role} decodes to {frame_RC.shape} pixels, its header says {shape}.",
            remedy=SEND_AGAIN,
        )
    return frame_RC.astype(np.float32)


def _check_claims(data: bytes, num_pixels: int, *, role: str) -> None:
    """Hold what compressed frames say of their size against the header, before unpacking them.

    Decoders trust the frame; 65535 x 65535 pixels would be asked for where a byte was damaged.
    Within compressed data these markers cannot stand (T.81 B.1.1.5, T.87 A.1).
    """
    for found in _FRAME_HEADER.finditer(data):
        at = found.end()
        length = int.from_bytes(data[at : at + 2], "big")
        rows, columns = (int.from_bytes(data[at + k : at + k + 2], "big") for k in (3, 5))
        if length in _HEADER_LENGTHS and rows * columns > 4 * num_pixels:
            raise FileUnreadableError(
                f"{role} is compressed and claims {rows}x{columns} pixels in one frame.",
                remedy="Export the series uncompressed (Explicit VR Little Endian).",
            )


def _syntax(dataset: Dataset) -> UID:
    return UID(str(dataset.file_meta.TransferSyntaxUID))


def _name(syntax: UID) -> str:
    return syntax.name if syntax.is_transfer_syntax and not syntax.is_private else "unknown"
