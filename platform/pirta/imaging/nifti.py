"""Read a NIfTI file from its bytes, believing nothing it says before it is checked.

The header is read and judged first: shape, affine and size are known to be sane before a
single voxel is unpacked, and no more bytes are unpacked than the header accounts for, so a
small file cannot claim or inflate into a huge volume. Messages name the file's role ("DWI"),
never its name, which may hold a patient's. This module does not look at DICOM.
"""

from __future__ import annotations

import gzip
import io
import zlib
from pathlib import Path

import fsspec
import nibabel as nib
import numpy as np
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError
from numpy.typing import NDArray

from pirta.errors import FileMissingError, FileUnreadableError, GeometryError, IntensityError
from pirta.imaging.volume import Volume

MAX_VOXELS = 2**26  # 512 x 512 x 256; a DWI of the whole head is below a tenth of it
MAX_OFFSET_BYTES = 2**24  # header extensions
MIN_SIDE_VOX = 5
SPACING_RANGE_MM = (0.2, 20.0)

_GZIP_MAGIC = b"\x1f\x8b"
_HEADER_BYTES = {348: (nib.Nifti1Header, 348), 540: (nib.Nifti2Header, 540)}
_SEND_NIFTI = "Send a 3D NIfTI file (.nii or .nii.gz) as the converter (such as dcm2niix) made it."
_SEND_AGAIN = "Copy or convert the file again; the transfer may have been cut short."


def read_nifti_file(path: Path | str, *, role: str) -> Volume:
    """Return the volume of a local file or any fsspec path; see `read_nifti`.

    Raises:
        FileMissingError: nothing lies there.
        FileUnreadableError: it is a folder, or may not be read; and all of `read_nifti`.
    """
    return read_nifti(read_file(path, role=role), role=role)


def read_file(path: Path | str, *, role: str) -> bytes:
    """Return the bytes of a local file or any fsspec path.

    Raises:
        FileMissingError: nothing lies there.
        FileUnreadableError: it is a folder, or may not be read.
    """
    try:
        with fsspec.open(str(path), "rb") as stream:
            data: bytes = stream.read()
    except FileNotFoundError:
        raise FileMissingError(
            f"The {role} file does not exist.", remedy="Check the path that was given."
        ) from None
    except (IsADirectoryError, PermissionError) as error:
        what = "is a folder" if isinstance(error, IsADirectoryError) else "may not be read"
        raise FileUnreadableError(
            f"The {role} path {what}.", remedy="Name one readable NIfTI file."
        ) from None
    return data


def read_nifti(data: bytes, *, role: str) -> Volume:
    """Return the volume in `data` (plain or gzipped NIfTI-1 or -2), turned to RAS+.

    Args:
        role: what the file is for, "DWI", "ADC" or "mask"; images must also vary, while a
            mask may be empty.

    Raises:
        FileMissingError: no bytes.
        FileUnreadableError: no NIfTI, cut short, or of a voxel type that is no number.
        GeometryError: not 3D, a singular or non-finite affine, absurd spacing or size.
        IntensityError: NaN or infinite voxels; for images also all zero or all the same.
    """
    if not data:
        raise FileMissingError(f"The {role} file holds no bytes.", remedy=_SEND_AGAIN)
    stream = _Unpacker(data, role=role)
    header = _read_header(stream, role=role)
    shape = _check_shape(header, role=role)
    raw = stream.finish(_num_bytes(header, shape, role=role))
    image = _to_image(raw, type(header), role=role)
    _check_affine(image.affine, role=role)
    values = _voxels(image, role=role).reshape(shape)
    if role.lower() not in ("mask", "territory"):
        _check_varies(values, role=role)
    canonical = nib.as_closest_canonical(nib.Nifti1Image(values, image.affine))
    return Volume(
        data_XYZ=np.ascontiguousarray(canonical.dataobj, dtype=np.float32),
        affine=np.asarray(canonical.affine, dtype=np.float64),
        provenance={
            "orientation": _orientation_source(image.header),
            "axes": "".join(nib.aff2axcodes(image.affine)),
        },
    )


class _Unpacker:
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
        found = self._seen + self._read(max(0, num_bytes - len(self._seen)))
        self._read(1)  # at the end of a gzip stream this checks its checksum
        if len(found) < num_bytes:
            raise FileUnreadableError(
                f"The {self._role} file is cut short: {len(found)} of {num_bytes} bytes.",
                remedy=_SEND_AGAIN,
            )
        return found[:num_bytes]

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


def _read_header(stream: _Unpacker, *, role: str) -> nib.Nifti1Header:
    start = stream.peek(4)
    size = int.from_bytes(start, "little")
    if size not in _HEADER_BYTES:
        size = int.from_bytes(start, "big")
    if size not in _HEADER_BYTES:
        raise FileUnreadableError(f"The {role} file is no NIfTI file.", remedy=_SEND_NIFTI)
    kind, num_bytes = _HEADER_BYTES[size]
    block = stream.peek(num_bytes)
    magic = block[344:348] if size == 348 else block[4:8]
    if len(block) < num_bytes or magic[:3] not in (b"n+1", b"n+2"):
        raise FileUnreadableError(
            f"The {role} file has no single-file NIfTI header.", remedy=_SEND_NIFTI
        )
    try:
        return kind(block)
    except (HeaderDataError, ValueError) as error:
        raise _bad_header(role, error) from None


def _bad_header(role: str, error: Exception) -> FileUnreadableError:
    return FileUnreadableError(
        f"The {role} file's NIfTI header cannot be read: {error}.", remedy=_SEND_NIFTI
    )


def _check_shape(header: nib.Nifti1Header, *, role: str) -> tuple[int, int, int]:
    try:
        stored = tuple(int(side) for side in header.get_data_shape())
    except (HeaderDataError, ValueError) as error:
        raise _bad_header(role, error) from None
    shape = stored
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    text = "x".join(map(str, stored)) or "empty"
    if len(shape) != 3:
        raise GeometryError(
            f"The {role} volume is {len(shape)}D ({text} voxels); one 3D volume is needed.",
            remedy="Pick one 3D volume (for the DWI the trace image of the highest b value).",
        )
    if min(shape) < MIN_SIDE_VOX:
        raise GeometryError(
            f"The {role} volume has {text} voxels; every side needs {MIN_SIDE_VOX} or more.",
            remedy="Send the whole volume, not a single slice.",
        )
    if shape[0] * shape[1] * shape[2] > MAX_VOXELS:
        raise GeometryError(
            f"The {role} header claims {text} voxels, above the limit of {MAX_VOXELS}.",
            remedy="Send the volume as the scanner made it; whole heads are far smaller.",
        )
    return shape[0], shape[1], shape[2]


def _num_bytes(header: nib.Nifti1Header, shape: tuple[int, int, int], *, role: str) -> int:
    dtype = header.get_data_dtype()
    if dtype.kind not in "iuf" or dtype.itemsize > 8:
        raise FileUnreadableError(
            f"The {role} file holds {dtype} voxels; real numbers of up to 64 bits are needed.",
            remedy="Save the magnitude image as integers or floats.",
        )
    offset = int(header.get_data_offset())
    if not 0 <= offset <= MAX_OFFSET_BYTES:
        raise FileUnreadableError(
            f"The {role} header puts the voxels at byte {offset}.", remedy=_SEND_NIFTI
        )
    num_voxels = shape[0] * shape[1] * shape[2]
    return offset + num_voxels * int(dtype.itemsize)


def _to_image(raw: bytes, header_kind: type, *, role: str) -> nib.Nifti1Image:
    kind = nib.Nifti2Image if header_kind is nib.Nifti2Header else nib.Nifti1Image
    try:
        return kind.from_bytes(raw)
    except (HeaderDataError, ImageFileError, ValueError) as error:
        raise _bad_header(role, error) from None


def _check_affine(affine: NDArray[np.float64], *, role: str) -> None:
    remedy = "Convert the study again; the header's sform and qform are unusable."
    if not np.all(np.isfinite(affine)):
        raise GeometryError(f"The {role} affine holds NaN or infinity.", remedy=remedy)
    spacing_mm = np.linalg.norm(affine[:3, :3], axis=0)
    text = " x ".join(f"{side:.3g}" for side in spacing_mm)
    low, high = SPACING_RANGE_MM
    if np.any(spacing_mm < low) or np.any(spacing_mm > high):
        raise GeometryError(
            f"The {role} spacing is {text} mm; {low} to {high} mm is possible.", remedy=remedy
        )
    if abs(np.linalg.det(affine[:3, :3] / spacing_mm)) < 0.1:
        raise GeometryError(
            f"The {role} affine is singular: two axes run the same way.", remedy=remedy
        )


def _voxels(image: nib.Nifti1Image, *, role: str) -> NDArray[np.float32]:
    try:
        with np.errstate(over="ignore", invalid="ignore"):
            values = np.asarray(image.dataobj).astype(np.float32)
    except (HeaderDataError, ValueError) as error:
        raise _bad_header(role, error) from None
    num_bad = int(values.size - np.count_nonzero(np.isfinite(values)))
    if num_bad:
        raise IntensityError(
            f"The {role} volume has {num_bad} NaN or infinite voxels of {values.size}.",
            remedy="Replace them at their source, or export the volume again.",
        )
    return values


def _check_varies(values: NDArray[np.float32], *, role: str) -> None:
    low, high = float(values.min()), float(values.max())
    if low == high:
        what = "zero" if low == 0 else f"the same value, {low:g}"
        raise IntensityError(
            f"The {role} volume is empty: all voxels are {what}.",
            remedy="Export the volume again and look at it in a viewer.",
        )


def _orientation_source(header: nib.Nifti1Header) -> str:
    if int(header["sform_code"]) > 0:
        return "sform"
    return "qform" if int(header["qform_code"]) > 0 else "assumed"
