"""Read a MetaImage (.mha, or .mhd with its voxels inside) from bytes, believing nothing at first.

Axis suffixes: X Y Z voxels (RAS+ once read; stored first axis fastest). MetaImage is LPS+: world
x grows to the patient's left and y to the back, and both signs turn here. The header is a few
lines of text; every line that decides where the voxels lie is judged before one is unpacked.
The voxels are decoded here rather than by ITK, which reads from disk only: a study stays in
memory. Tests hold the result against SimpleITK's. Voxels in another file are refused.
"""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pirta.errors import FileMissingError, FileUnreadableError, GeometryError
from pirta.imaging.volume import Volume
from pirta.imaging.volume_checks import check_affine, check_numbers, check_shape, to_ras

MAX_HEADER_BYTES = 2**16
_SEND = "Send a 3D MetaImage with its voxels inside (.mha), or NIfTI."
_SEND_AGAIN = "Copy or convert the file again; the transfer may have been cut short."
_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
_TYPES = {
    "MET_CHAR": "i1",
    "MET_UCHAR": "u1",
    "MET_SHORT": "i2",
    "MET_USHORT": "u2",
    "MET_INT": "i4",
    "MET_UINT": "u4",
    "MET_LONG_LONG": "i8",
    "MET_ULONG_LONG": "u8",
    "MET_FLOAT": "f4",
    "MET_DOUBLE": "f8",
}
MAX_LINE_BYTES = 4096
_LINE = re.compile(rb"([A-Za-z0-9_|]{1,64}) *=([^\r\n]*)\r?\n?")


@dataclass(frozen=True)
class _Header:
    fields: dict[str, str]
    num_bytes: int
    role: str

    def text(self, *names: str, default: str | None = None) -> str:
        """Return the first of these fields that is there."""
        for name in names:
            if name in self.fields:
                return self.fields[name]
        if default is None:
            raise FileUnreadableError(
                f"The {self.role} MetaImage header states no {names[0]}.", remedy=_SEND
            )
        return default

    def numbers(self, *names: str, count: int, default: str | None = None) -> list[float]:
        """Return a field's numbers, as many as it must have."""
        words = self.text(*names, default=default).split()
        try:
            found = [float(word) for word in words]
        except ValueError:
            found = []
        if len(found) != count or not np.isfinite(found).all():
            raise FileUnreadableError(
                f"The {self.role} MetaImage's {names[0]} is not {count} numbers.", remedy=_SEND
            )
        return found

    def flag(self, name: str, *, default: str) -> bool:
        """Return a True/False field."""
        return self.text(name, default=default).lower() in ("true", "t", "1", "yes")


def is_metaimage(data: bytes) -> bool:
    """Say whether these bytes begin like a MetaImage header."""
    match = _LINE.fullmatch(_line(data, 0))
    return match is not None and match[1] in (b"ObjectType", b"NDims", b"Comment")


def read_metaimage(data: bytes, *, role: str) -> Volume:
    """Return the volume in `data`, turned to RAS+.

    Args:
        role: as `read_nifti`.

    Raises:
        FileMissingError: no bytes.
        FileUnreadableError: no MetaImage, cut short, its voxels elsewhere or of no number type.
        GeometryError: not 3D, or an absurd size, spacing or direction.
        IntensityError: NaN or infinite voxels; for images also all the same.
    """
    if not data:
        raise FileMissingError(f"The {role} file holds no bytes.", remedy=_SEND_AGAIN)
    header = _read_header(data, role=role)
    shape = _shape(header)
    dtype = _dtype(header)
    affine, orientation = _affine(header)
    check_affine(affine, role=role)
    num_bytes = shape[0] * shape[1] * shape[2] * dtype.itemsize
    raw = _voxel_bytes(data[header.num_bytes :], header, num_bytes)
    with np.errstate(over="ignore", invalid="ignore"):
        values_XYZ = np.frombuffer(raw, dtype).reshape(shape, order="F").astype(np.float32)
    check_numbers(values_XYZ, role=role)
    return to_ras(values_XYZ, affine, orientation=orientation)


def _read_header(data: bytes, *, role: str) -> _Header:
    if not is_metaimage(data):
        raise FileUnreadableError(f"The {role} file is no MetaImage.", remedy=_SEND)
    fields: dict[str, str] = {}
    place = 0
    while place < MAX_HEADER_BYTES:
        line = _line(data, place)
        match = _LINE.fullmatch(line)
        if match is None:
            break
        place += len(line)
        name = match[1].decode("ascii")
        fields[name] = match[2].decode("latin-1").strip()
        if name == "ElementDataFile":
            return _Header(fields, place, role)
    raise FileUnreadableError(
        f"The {role} MetaImage header has no end (line {len(fields) + 1} cannot be read).",
        remedy=_SEND,
    )


def _line(data: bytes, place: int) -> bytes:
    """Return the line that begins at a place, its end with it; none where it has no end."""
    end = data.find(b"\n", place, place + MAX_LINE_BYTES)
    return data[place : end + 1]


def _shape(header: _Header) -> tuple[int, int, int]:
    (num_dimensions,) = header.numbers("NDims", count=1)
    if num_dimensions != 3:
        raise GeometryError(
            f"The {header.role} MetaImage is {num_dimensions:g}D; one 3D volume is needed.",
            remedy="Pick one 3D volume (for the DWI the trace image of the highest b value).",
        )
    sides = header.numbers("DimSize", count=3)
    if not all(side.is_integer() and 0 <= side < 2**31 for side in sides):
        raise GeometryError(
            f"The {header.role} MetaImage's sides are no whole numbers above 0.", remedy=_SEND
        )
    return check_shape(tuple(int(side) for side in sides), role=header.role)


def _dtype(header: _Header) -> np.dtype[np.generic]:
    name = header.text("ElementType")
    channels = header.numbers("ElementNumberOfChannels", count=1, default="1")
    if name not in _TYPES or channels != [1.0]:
        raise FileUnreadableError(
            f"The {header.role} MetaImage holds {channels[0]:g} values a voxel of "
            f"{name if name in _TYPES else 'another type'}; one real number is needed.",
            remedy="Save the magnitude image as integers or floats.",
        )
    big = header.text("BinaryDataByteOrderMSB", "ElementByteOrderMSB", default="False")
    return np.dtype(_TYPES[name]).newbyteorder(">" if big.lower() in ("true", "t", "1") else "<")


def _affine(header: _Header) -> tuple[NDArray[np.float64], str]:
    """Return the affine to RAS+, and what the directions rest on."""
    names = ("TransformMatrix", "Rotation", "Orientation")
    stated = any(name in header.fields for name in names)
    directions = header.numbers(*names, count=9, default="1 0 0 0 1 0 0 0 1")
    spacing_mm = header.numbers("ElementSpacing", "ElementSize", count=3)
    affine_LPS = np.eye(4)
    # One row of the text is one voxel axis's direction: a column of the affine.
    affine_LPS[:3, :3] = np.array(directions).reshape(3, 3).T * np.array(spacing_mm)
    affine_LPS[:3, 3] = header.numbers("Offset", "Position", "Origin", count=3, default="0 0 0")
    return _LPS_TO_RAS @ affine_LPS, "directions" if stated else "assumed"


def _voxel_bytes(rest: bytes, header: _Header, num_bytes: int) -> bytes:
    """Return exactly the voxels' bytes; packed ones are unpacked no further than that."""
    if header.text("ElementDataFile") != "LOCAL" or "HeaderSize" in header.fields:
        raise FileUnreadableError(
            f"The {header.role} MetaImage's voxels are in another file.", remedy=_SEND
        )
    if not header.flag("BinaryData", default="True"):
        raise FileUnreadableError(
            f"The {header.role} MetaImage's voxels are text.", remedy="Save it as binary."
        )
    found = rest
    if header.flag("CompressedData", default="False"):
        unpacker = zlib.decompressobj()
        try:
            found = unpacker.decompress(rest, num_bytes)
            more = unpacker.decompress(unpacker.unconsumed_tail, 1)
        except zlib.error:
            raise FileUnreadableError(
                f"The {header.role} MetaImage is damaged where it is packed.", remedy=_SEND_AGAIN
            ) from None
        if more or (len(found) == num_bytes and not unpacker.eof):  # its checksum is at its end
            raise FileUnreadableError(
                f"The {header.role} MetaImage is packed with more or less than its voxels.",
                remedy=_SEND_AGAIN,
            )
    if len(found) < num_bytes:
        raise FileUnreadableError(
            f"The {header.role} file is cut short: {len(found)} of {num_bytes} bytes.",
            remedy=_SEND_AGAIN,
        )
    return found[:num_bytes]
