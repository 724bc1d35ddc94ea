"""All slices of the MR images in a bag of files, each object once.

Copies of an object (the same SOP Instance UID) are dropped where they are alike in place and
pixels, and a refusal where they are not. What is no MR image, or none of diffusion, is counted and
may be as damaged as it likes; what is or may be a diffusion image must be sound. No pixel is
decoded.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from pydicom.dataset import Dataset

from pirta.errors import FileUnreadableError, SeriesError
from pirta.imaging.dicom.classic import classic_slices
from pirta.imaging.dicom.detect import class_told, is_dicom
from pirta.imaging.dicom.enhanced import enhanced_slices
from pirta.imaging.dicom.parse import IMAGE_CLASSES, is_image, parse, reading
from pirta.imaging.dicom.private import numbers_of
from pirta.imaging.dicom.slices import Slice

MIN_IMAGE_BYTES = 1024
"""Header and pixels of the smallest image take more."""


def read_slices(files: Mapping[str, bytes]) -> tuple[list[Slice], dict[str, str]]:
    """Return the slices that are part of a diffusion study, and notes on what else was there.

    Raises:
        FileUnreadableError, GeometryError, SeriesError: a file is damaged or contradicts itself
            or another.
    """
    found = [data for _, data in sorted(files.items()) if is_dicom(data)]
    seen: dict[str, str] = {}
    slices: list[Slice] = []
    num_images = num_unused = num_copies = 0
    for number, data in enumerate(found, start=1):
        role = f"DICOM file {number} of {len(found)}"
        dataset = _image(data, role=role)
        if dataset is None:
            continue
        with reading(role):
            added = _slices(dataset, role=role)
            if added and _is_copy(dataset, seen, role=role):
                num_copies += 1
                continue
        num_images += 1
        slices += added
        num_unused += not added
    if not num_images:
        raise SeriesError(
            f"None of {len(files)} files is an MR image ({len(found)} are DICOM).",
            remedy="Send the DICOM files of the diffusion study (MR or Enhanced MR images).",
        )
    notes = {"dicom": f"{num_images} MR images, {num_unused} of them of no use"}
    others = len(found) - num_images - num_copies
    if others or len(files) > len(found):
        notes["ignored"] = f"{others} DICOM objects and {len(files) - len(found)} other files"
    if num_copies:
        notes["copies"] = f"{num_copies} left out"
    return slices, notes


def _image(data: bytes, *, role: str) -> Dataset | None:
    """Return the dataset of an MR image; None for another object, and for what can be no image.

    A file that cannot be read is no image where its meta header says so or, where that says
    nothing, where the file is too short to hold one. Slices that are lost with it are missed
    where a series is proven complete.
    """
    try:
        dataset = parse(data, role=role)
        with reading(role):
            return dataset if is_image(dataset, role=role) else None
    except FileUnreadableError:
        told = class_told(data)
        if told in IMAGE_CLASSES or (not told and len(data) >= MIN_IMAGE_BYTES):
            raise
        return None


def _slices(dataset: Dataset, *, role: str) -> list[Slice]:
    num_frames = numbers_of(dataset.get("NumberOfFrames"), "s") or (1.0,)
    is_enhanced = "PerFrameFunctionalGroupsSequence" in dataset or num_frames[0] != 1
    return (enhanced_slices if is_enhanced else classic_slices)(dataset, role=role)


def _is_copy(dataset: Dataset, seen: dict[str, str], *, role: str) -> bool:
    uid = str(dataset.get("SOPInstanceUID") or "")
    if not uid:
        return False
    content = hashlib.sha256()
    for name in ("Rows", "Columns", "ImagePositionPatient", "ImageOrientationPatient"):
        content.update(f"{dataset.get(name)}\n".encode())
    pixels = dataset.get("PixelData")
    content.update(pixels if isinstance(pixels, bytes) else b"")
    digest = content.hexdigest()
    if uid not in seen:
        seen[uid] = digest
        return False
    if seen[uid] != digest:
        raise SeriesError(
            f"{role} has the identifier of an earlier file, but other content.",
            remedy="Export the study again: two images must not share one SOP Instance UID.",
        )
    return True
