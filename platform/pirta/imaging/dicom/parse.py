"""From bytes to a pydicom dataset, with only the elements this room uses, and one kind of error.

Elements that nobody here reads (names, dates of birth, private blobs) are never taken in; the
patient's identifier is, for `origin` to tell two patients apart by its digest. What pydicom finds
wrong with a file, in whatever of its many exceptions, becomes a `FileUnreadableError` that names
no file. No pixel is decoded here; see `pixels`.
"""

from __future__ import annotations

import io
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import pydicom
from pydicom.config import disable_value_validation
from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.tag import BaseTag, Tag
from pydicom.uid import UID, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from pirta.errors import FileUnreadableError
from pirta.imaging.dicom.detect import has_preamble

MR_IMAGE = "1.2.840.10008.5.1.4.1.1.4"
ENHANCED_MR_IMAGE = "1.2.840.10008.5.1.4.1.1.4.1"
LEGACY_ENHANCED_MR_IMAGE = "1.2.840.10008.5.1.4.1.1.4.4"
IMAGE_CLASSES = frozenset({MR_IMAGE, ENHANCED_MR_IMAGE, LEGACY_ENHANCED_MR_IMAGE})

DEFLATED = b"1.2.840.10008.1.2.1.99"

SEND_AGAIN = "Export the series from the archive again; the transfer may have been cut short."

PARSE_ERRORS = (
    InvalidDicomError,
    BytesLengthException,
    struct.error,
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    NameError,
    NotImplementedError,
    OSError,
    RecursionError,
    TypeError,
    ValueError,
)
"""All that pydicom was seen or is written to raise on bytes that are no sound DICOM file."""

_KEYWORDS = (
    "SpecificCharacterSet",
    "ImageType",
    "SOPClassUID",
    "SOPInstanceUID",
    "PatientID",
    "StudyInstanceUID",
    "Manufacturer",
    "SeriesDescription",
    "AcquisitionDate",
    "AcquisitionTime",
    "AcquisitionDateTime",
    "SeriesDate",
    "SeriesTime",
    "ContentDate",
    "ContentTime",
    "ComplexImageComponent",
    "ScanningSequence",
    "EchoTime",
    "EffectiveEchoTime",
    "RepetitionTime",
    "AcquisitionContrast",
    "SliceThickness",
    "SpacingBetweenSlices",
    "DiffusionBValue",
    "DiffusionDirectionality",
    "DiffusionGradientOrientation",
    "MRDiffusionSequence",
    "SeriesInstanceUID",
    "AcquisitionNumber",
    "InstanceNumber",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "FrameOfReferenceUID",
    "TemporalPositionIdentifier",
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "PlanarConfiguration",
    "NumberOfFrames",
    "Rows",
    "Columns",
    "PixelSpacing",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "RescaleIntercept",
    "RescaleSlope",
    "RescaleType",
    "RealWorldValueMappingSequence",
    "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence",
    "ExtendedOffsetTable",
    "ExtendedOffsetTableLengths",
    "PixelData",
)

_PRIVATE_ELEMENTS = {
    0x0019: (0x0A, 0x0C, 0x0E, 0xBB, 0xBC, 0xBD),  # Siemens: mosaic, b, direction; GE: direction
    0x0021: (0x4F,),  # GE: locations in the acquisition
    0x0029: (0x10,),  # Siemens: CSA image header
    0x0043: (0x39,),  # GE: b value
    0x0065: (0x09, 0x37),  # UIH: b value, direction
    0x2001: (0x03, 0x04, 0x18, 0x20, 0x60),  # Philips: b, direction, slices, technique, stacks
    0x2005: (0x0E,),  # Philips: scale slope
}
_PRIVATE_BLOCKS = range(0x10, 0x14)


def parse(data: bytes, *, role: str) -> Dataset:
    """Return the dataset in `data`.

    Args:
        role: what the file is called in messages, "DICOM file 3 of 20".

    Raises:
        FileUnreadableError: not DICOM, damaged, or deflated as a whole (which would have to be
            unpacked before anything in it can be judged).
    """
    if DEFLATED in data:
        raise FileUnreadableError(
            f"{role} is deflated as a whole (transfer syntax {DEFLATED.decode()}).",
            remedy="Export the series uncompressed (Explicit VR Little Endian).",
        )
    with reading(role):
        dataset = pydicom.dcmread(
            io.BytesIO(data), specific_tags=_tags(), force=not has_preamble(data)
        )
        if "TransferSyntaxUID" not in dataset.file_meta:
            dataset.file_meta.TransferSyntaxUID = _found_syntax(dataset)
        return dataset


@contextmanager
def reading(role: str) -> Iterator[None]:
    """Turn what pydicom raises inside into one typed error, and keep its warnings to itself.

    Its warnings quote values, which may be a patient's, and it writes them to its log as well:
    the check of values that they come from is off, and what cannot be used is found here.
    """
    try:
        with warnings.catch_warnings(), disable_value_validation():
            warnings.simplefilter("ignore")
            yield
    except PARSE_ERRORS as error:
        raise FileUnreadableError(
            f"{role} cannot be read as DICOM ({type(error).__name__}).", remedy=SEND_AGAIN
        ) from None


def is_image(dataset: Dataset, *, role: str) -> bool:
    """Return whether this is an MR image: not a presentation state, report or private object.

    Raises:
        FileUnreadableError: the file does not say what it is.
    """
    name = dataset.get("SOPClassUID") or dataset.file_meta.get("MediaStorageSOPClassUID")
    if not name:
        raise FileUnreadableError(f"{role} does not say what it holds.", remedy=SEND_AGAIN)
    return str(name) in IMAGE_CLASSES


def _found_syntax(dataset: Dataset) -> UID:
    """Return the transfer syntax that a file without a meta header turned out to have."""
    implicit, little = dataset.original_encoding
    if not little:
        return ExplicitVRBigEndian
    return ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian


@cache
def _tags() -> list[BaseTag]:
    tags = [Tag(keyword) for keyword in _KEYWORDS]
    for group, elements in _PRIVATE_ELEMENTS.items():
        for block in _PRIVATE_BLOCKS:
            tags.append(Tag(group, block))
            tags.extend(Tag(group, (block << 8) + element) for element in elements)
    return tags
