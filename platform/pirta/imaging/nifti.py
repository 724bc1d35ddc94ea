"""Read a NIfTI file from its bytes, believing nothing it says before it is checked.

The header is read and judged first: shape, affine and size are known to be sane before a
single voxel is unpacked, and no more bytes are unpacked than the header accounts for, so a
small file cannot claim or inflate into a huge volume. Messages name the file's role ("DWI"),
never its name, which may hold a patient's. Where sform and qform contradict each other the
volume says so ("disputed"); where they disagree on what is left and right it is refused. This
module does not look at DICOM, nor at sidecars.

Axis suffixes: X Y Z voxels (RAS+ once read).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import fsspec
import nibabel as nib
import numpy as np
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError
from numpy.typing import NDArray

from pirta.errors import FileMissingError, FileUnreadableError, GeometryError
from pirta.imaging.unpacker import Unpacker
from pirta.imaging.volume import Volume
from pirta.imaging.volume_checks import check_affine, check_numbers, check_shape, to_ras
from pirta.storage_errors import storage_errors

MAX_SERIES_VOXELS = 2**27  # of all volumes together: 512 MB once they are floats
MAX_OFFSET_BYTES = 2**24  # header extensions
DISPUTED_MM = 10.0
"""How far sform and qform may move a corner apart before the orientation is in dispute."""

REFUSED_MM = 60.0
"""At this distance an axis has turned: left, front or top are no longer the same."""

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
    except storage_errors() as error:
        what = "is a folder" if isinstance(error, IsADirectoryError) else "cannot be read"
        raise FileUnreadableError(
            f"The {role} path {what} ({type(error).__name__}).",
            remedy="Name one readable file; for a bucket, check its address and credentials.",
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
    (volume,) = _volumes(data, role=role, series=False)
    return volume


def read_nifti_volumes(data: bytes, *, role: str) -> list[Volume]:
    """Return every volume of a 3D or 4D file, in their order, each as `read_nifti` would.

    Raises:
        InputError: as `read_nifti`; the volumes together may have `MAX_SERIES_VOXELS`.
    """
    return list(_volumes(data, role=role, series=True))


def num_volumes(data: bytes, *, role: str) -> int:
    """Return how many volumes a file's header states; its voxels are not unpacked.

    Raises:
        InputError: as `read_nifti` raises for a header.
    """
    return _series_shape(_read_header(Unpacker(data, role=role), role=role), role=role)[1]


def is_nifti(data: bytes) -> bool:
    """Say whether these bytes, packed or not, begin like a single-file NIfTI."""
    try:
        _read_header(Unpacker(data, role="image"), role="image")
    except FileUnreadableError:
        return False
    return True


def _read_header(stream: Unpacker, *, role: str) -> nib.Nifti1Header:
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


def _stored_shape(header: nib.Nifti1Header, *, role: str) -> tuple[int, ...]:
    try:
        return tuple(int(side) for side in header.get_data_shape())
    except (HeaderDataError, ValueError) as error:
        raise _bad_header(role, error) from None


def _series_shape(header: nib.Nifti1Header, *, role: str) -> tuple[tuple[int, int, int], int]:
    """Return one volume's sides, and the number of volumes."""
    shape = _stored_shape(header, role=role)
    while len(shape) > 4 and shape[-1] == 1:
        shape = shape[:-1]
    if len(shape) != 4:
        return check_shape(shape, role=role), 1
    sides = check_shape(shape[:3], role=role)
    number = shape[3]
    if number < 1 or sides[0] * sides[1] * sides[2] * number > MAX_SERIES_VOXELS:
        raise GeometryError(
            f"The {role} header claims {number} volumes of {'x'.join(map(str, sides))} voxels; "
            f"{MAX_SERIES_VOXELS} voxels together is the limit.",
            remedy="Send the b0 volumes and one shell, or DWI and ADC map alone.",
        )
    return sides, number


def _volumes(data: bytes, *, role: str, series: bool) -> Iterator[Volume]:
    if not data:
        raise FileMissingError(f"The {role} file holds no bytes.", remedy=_SEND_AGAIN)
    stream = Unpacker(data, role=role)
    header = _read_header(stream, role=role)
    if series:
        sides, number = _series_shape(header, role=role)
    else:
        sides, number = check_shape(_stored_shape(header, role=role), role=role), 1
    raw = stream.finish(_num_bytes(header, sides, number, role=role))
    image = _to_image(raw, type(header), role=role)
    check_affine(image.affine, role=role)
    orientation = _orientation(image.header, sides, role=role)
    for place in range(number):
        name = f"{role} (volume {place + 1} of {number})" if number > 1 else role
        values = _voxels(image, place if number > 1 else None, role=role).reshape(sides)
        check_numbers(values, role=name)
        yield to_ras(values, image.affine, orientation=orientation)


def _num_bytes(
    header: nib.Nifti1Header, sides: tuple[int, int, int], number: int, *, role: str
) -> int:
    dtype = header.get_data_dtype()
    if dtype.kind not in "iuf" or dtype.itemsize > 8:
        raise FileUnreadableError(
            f"The {role} file holds {dtype} voxels; real numbers of up to 64 bits are needed.",
            remedy="Save the magnitude image as integers or floats.",
        )
    offset = float(header["vox_offset"])
    if not 0 <= offset <= MAX_OFFSET_BYTES:  # true for NaN too
        raise FileUnreadableError(
            f"The {role} header puts the voxels at byte {offset:.9g}.", remedy=_SEND_NIFTI
        )
    num_voxels = sides[0] * sides[1] * sides[2] * number
    return int(offset) + num_voxels * int(dtype.itemsize)


def _to_image(raw: bytes, header_kind: type, *, role: str) -> nib.Nifti1Image:
    kind = nib.Nifti2Image if header_kind is nib.Nifti2Header else nib.Nifti1Image
    try:
        with np.errstate(all="ignore"):  # of an affine that is judged next
            return kind.from_bytes(raw)
    except (HeaderDataError, ImageFileError, ValueError) as error:
        raise _bad_header(role, error) from None


def _voxels(image: nib.Nifti1Image, place: int | None, *, role: str) -> NDArray[np.float32]:
    """Return one volume's voxels, or all of a 3D file's."""
    try:
        with np.errstate(over="ignore", invalid="ignore"):
            stored = image.dataobj if place is None else image.dataobj[:, :, :, place]
            return np.asarray(stored).astype(np.float32)
    except (HeaderDataError, ValueError) as error:
        raise _bad_header(role, error) from None


def _orientation(header: nib.Nifti1Header, sides: tuple[int, int, int], *, role: str) -> str:
    """Return which form the affine rests on, or "disputed" where the other contradicts it.

    Only turns and flips count: many tools move the origin and leave the other form as it was.
    """
    has_sform, has_qform = (int(header[f"{form}_code"]) > 0 for form in ("sform", "qform"))
    if not (has_sform and has_qform):
        return "sform" if has_sform else "qform" if has_qform else "assumed"
    try:
        with np.errstate(all="ignore"):
            sform, qform = header.get_sform(), header.get_qform()
    except (HeaderDataError, ValueError):  # a quaternion that is none
        return "disputed"
    if not np.isfinite(qform).all():
        return "disputed"
    signs = np.array([[x, y, 1] for x in (-1, 1) for y in (-1, 1)])  # the others mirror these
    corners = signs * np.array(sides) / 2
    apart_mm = float(np.linalg.norm(corners @ (sform - qform)[:3, :3].T, axis=1).max())
    if np.linalg.det(sform[:3, :3]) * np.linalg.det(qform[:3, :3]) < 0 or apart_mm > REFUSED_MM:
        raise GeometryError(
            f"The {role} header's sform and qform turn the volume in different ways (a corner "
            f"by {apart_mm:.0f} mm): left and right are unsure.",
            remedy="Convert the study again from its DICOM files.",
        )
    return "disputed" if apart_mm > DISPUTED_MM else "sform"
