"""Read one volume file, NIfTI or MetaImage: which it is, its content says.

Axis suffixes: X Y Z voxels (RAS+). DICOM is not read here: it takes many files to a volume.
"""

from __future__ import annotations

from pirta.errors import FileMissingError, FileUnreadableError
from pirta.imaging.metaimage import is_metaimage, read_metaimage
from pirta.imaging.nifti import is_nifti, read_nifti
from pirta.imaging.volume import Volume


def is_image_file(data: bytes) -> bool:
    """Say whether these bytes begin like a NIfTI or a MetaImage."""
    return is_metaimage(data) or is_nifti(data)


def read_image_file(data: bytes, *, role: str) -> Volume:
    """Return the one volume in `data`, turned to RAS+; roles as in `read_nifti`.

    Raises:
        FileMissingError: no bytes.
        FileUnreadableError: neither NIfTI nor MetaImage; and all that those readers raise.
    """
    if not data:
        raise FileMissingError(
            f"The {role} file holds no bytes.", remedy="Export or copy it again."
        )
    if is_metaimage(data):
        return read_metaimage(data, role=role)
    if not is_nifti(data):
        raise FileUnreadableError(
            f"The {role} file is neither NIfTI nor MetaImage.",
            remedy="Send .nii, .nii.gz or .mha; a DICOM series as an archive of its files.",
        )
    return read_nifti(data, role=role)
