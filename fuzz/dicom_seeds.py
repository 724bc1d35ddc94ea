"""Seed studies in DICOM: classic slices, Enhanced multi-frame, Siemens mosaic, raw directions.

Axis suffixes: X Y Z voxels (RAS+ in the head); I J K columns, rows, slices as stored (LPS+).
Written by pydicom alone. Every header names the patient, the accession, the scanner's serial
number, and identifiers under one root; file names hold the patient's name.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import (
    UID,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
)

from fuzz.csa import csa_header
from fuzz.head import Head
from fuzz.study import (
    ACCESSION,
    BIRTH_DATE,
    FILE_STEM,
    PATIENT,
    PATIENT_ID,
    SERIAL,
    UID_ROOT,
    Study,
)

MR_IMAGE = "1.2.840.10008.5.1.4.1.1.4"
ENHANCED = "1.2.840.10008.5.1.4.1.1.4.1"
TRACE, ADC, RAW = (
    ["DERIVED", "PRIMARY", "DIFFUSION", "TRACEW"],
    ["DERIVED", "PRIMARY", "DIFFUSION", "ADC"],
    ["ORIGINAL", "PRIMARY", "DIFFUSION", "NONE"],
)
DIRECTIONS = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
PULLS = (0.1, 0.0, -0.1)


@dataclass(frozen=True)
class Part:
    """One volume on its way into a study."""

    values_XYZ: NDArray[np.int16]
    image_type: list[str]
    series: int
    b_value: float | None = None
    direction: tuple[float, float, float] | None = None
    is_micro: bool = False


def scanner_made(head: Head) -> list[Part]:
    """Return the trace and the ADC map, as two series."""
    return [
        Part(head.signal(1000), TRACE, 1, 1000.0),
        Part(head.adc_micro(), ADC, 2, is_micro=True),
    ]


def raw_directions(head: Head) -> list[Part]:
    """Return a b0 volume and three directions, as one series."""
    weighted = zip(DIRECTIONS, PULLS, strict=True)
    return [
        Part(head.signal(0), RAW, 1, 0.0),
        *(Part(head.signal(1000, pull=pull), RAW, 1, 1000.0, way) for way, pull in weighted),
    ]


def classic(head: Head, parts: Sequence[Part], *, syntax: str = "explicit") -> Study:
    """Return one file a slice; `syntax` is "explicit", "implicit" or "rle"."""
    files = {}
    for number, part in enumerate(parts):
        for k, (pixels_JI, position) in enumerate(_slices(head, part.values_XYZ)):
            one = _image(part, MR_IMAGE, f"{number}.{k}", pixels_JI[None])
            one.ImagePositionPatient, one.ImageOrientationPatient = position, [1, 0, 0, 0, 1, 0]
            one.PixelSpacing = [head.spacing_mm[1], head.spacing_mm[0]]
            one.SliceThickness = one.SpacingBetweenSlices = head.spacing_mm[2]
            one.InstanceNumber = 1 + k + number * head.s0_XYZ.shape[2]
            if part.b_value is not None:
                one.DiffusionBValue = part.b_value
            if part.direction is not None:
                one.DiffusionGradientOrientation = list(part.direction)
            if part.is_micro:
                one.RescaleSlope, one.RescaleIntercept, one.RescaleType = 1, 0, "10^-6 mm^2/s"
            files[f"{FILE_STEM}_{number}_{k:03d}.dcm"] = _to_bytes(one, syntax)
    return Study(parts=files, form="bag", format="dicom")


def philips(head: Head) -> Study:
    """Return raw directions whose b values stand in Philips's private elements alone."""
    study = classic(head, raw_directions(head))
    files = {}
    for number, (name, data) in enumerate(study.parts.items()):
        one = _parse(data)
        del one.DiffusionBValue
        b_value = 0.002 if number < head.s0_XYZ.shape[2] else 1000.0
        block = one.private_block(0x2001, "Philips Imaging DD 001", create=True)
        block.add_new(0x03, "FL", b_value)
        block.add_new(0x04, "CS", "N" if b_value < 1 else "P")
        files[name] = _to_bytes(one, "explicit")
    return Study(parts=files, form="bag", format="dicom")


def enhanced(head: Head, parts: Sequence[Part]) -> Study:
    """Return one multi-frame file a series."""
    files = {}
    for series in sorted({part.series for part in parts}):
        own = [part for part in parts if part.series == series]
        frames, groups = [], []
        for number, part in enumerate(own):
            for k, (pixels_JI, position) in enumerate(_slices(head, part.values_XYZ)):
                frames.append(pixels_JI)
                groups.append(_frame(part, position, k, number))
        one = _image(own[0], ENHANCED, f"{series}", np.stack(frames))
        one.NumberOfFrames = len(frames)
        one.SharedFunctionalGroupsSequence = [_shared(head, own[0])]
        one.PerFrameFunctionalGroupsSequence = groups
        files[f"{FILE_STEM}_{series}.dcm"] = _to_bytes(one, "explicit")
    return Study(parts=files, form="bag", format="dicom")


def mosaic(head: Head) -> Study:
    """Return one Siemens mosaic a volume."""
    files = {}
    for part in scanner_made(head):
        slices = list(_slices(head, part.values_XYZ))
        side = int(np.ceil(np.sqrt(len(slices))))
        rows, columns = slices[0][0].shape
        whole_JI = np.zeros((side * rows, side * columns), np.int16)
        for k, (pixels_JI, _) in enumerate(slices):
            top, left = rows * (k // side), columns * (k % side)
            whole_JI[top : top + rows, left : left + columns] = pixels_JI
        kind = [*part.image_type, "ND", "MOSAIC"]
        one = _image(part, MR_IMAGE, f"{part.series}", whole_JI[None])
        one.ImageType, one.Manufacturer = kind, "SIEMENS"
        first = np.array(slices[0][1])
        shift = np.array([(side - 1) * columns, (side - 1) * rows]) / 2 * head.spacing_mm[:2]
        one.ImagePositionPatient = [*(first[:2] - shift), first[2]]
        one.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        one.PixelSpacing = [head.spacing_mm[1], head.spacing_mm[0]]
        one.SliceThickness = one.SpacingBetweenSlices = head.spacing_mm[2]
        one.InstanceNumber = part.series
        tags: dict[str, list[str]] = {
            "NumberOfImagesInMosaic": [str(len(slices))],
            "SliceNormalVector": ["0.0", "0.0", "1.0"],
            "PatientName": [PATIENT],
        }
        if part.b_value is not None:
            tags["B_value"] = [f"{part.b_value:.0f}"]
        block = one.private_block(0x0029, "SIEMENS CSA HEADER", create=True)
        block.add_new(0x10, "OB", csa_header(tags))
        files[f"{FILE_STEM}_{part.series}.dcm"] = _to_bytes(one, "explicit")
    return Study(parts=files, form="bag", format="dicom")


def _slices(
    head: Head, values_XYZ: NDArray[np.int16]
) -> Iterator[tuple[NDArray[np.int16], list[float]]]:
    """Yield each slice's stored pixels and position, from the feet to the head."""
    far = np.array(values_XYZ.shape) - 1
    for k in range(values_XYZ.shape[2]):
        corner = head.affine @ np.array([far[0], far[1], k, 1.0])
        position = [-float(corner[0]), -float(corner[1]), float(corner[2])]
        yield np.ascontiguousarray(values_XYZ[::-1, ::-1, k].T), position


def _image(part: Part, sop_class: str, instance: str, pixels_KJI: NDArray[np.int16]) -> FileDataset:
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = UID(sop_class)
    meta.MediaStorageSOPInstanceUID = UID(f"{UID_ROOT}.3.{part.series}.{instance}")
    one = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
    one.SOPClassUID, one.SOPInstanceUID = sop_class, meta.MediaStorageSOPInstanceUID
    one.StudyInstanceUID = f"{UID_ROOT}.1"
    one.SeriesInstanceUID = f"{UID_ROOT}.2.{part.series}"
    one.FrameOfReferenceUID = f"{UID_ROOT}.4"
    one.PatientName, one.PatientID, one.PatientBirthDate = PATIENT, PATIENT_ID, BIRTH_DATE
    one.AccessionNumber, one.DeviceSerialNumber = ACCESSION, SERIAL
    one.StudyDescription = f"MR HEAD {PATIENT}"
    one.Modality, one.Manufacturer, one.ImageType = "MR", "Phantom", part.image_type
    one.SeriesDescription, one.SeriesNumber = "ep2d_diff", part.series
    one.AcquisitionDate, one.AcquisitionTime = "20260102", f"1200{part.series:02d}"
    one.SamplesPerPixel, one.PhotometricInterpretation = 1, "MONOCHROME2"
    one.Rows, one.Columns = pixels_KJI.shape[1:]
    one.BitsAllocated, one.BitsStored, one.HighBit, one.PixelRepresentation = 16, 16, 15, 1
    one.PixelData = pixels_KJI.tobytes()
    return one


def _shared(head: Head, part: Part) -> Dataset:
    measures, plane, values, shared = Dataset(), Dataset(), Dataset(), Dataset()
    measures.PixelSpacing = [head.spacing_mm[1], head.spacing_mm[0]]
    measures.SliceThickness = measures.SpacingBetweenSlices = head.spacing_mm[2]
    plane.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    values.RescaleSlope, values.RescaleIntercept = 1, 0
    values.RescaleType = "10^-6 mm^2/s" if part.is_micro else "US"
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = [measures], [plane]
    shared.PixelValueTransformationSequence = [values]
    return shared


def _frame(part: Part, position: list[float], k: int, number: int) -> Dataset:
    place, content, kind, diffusion, frame = (Dataset() for _ in range(5))
    place.ImagePositionPatient = position
    content.StackID, content.InStackPositionNumber = "1", k + 1
    content.TemporalPositionIndex = number + 1
    kind.FrameType = part.image_type
    frame.PlanePositionSequence, frame.FrameContentSequence = [place], [content]
    frame.MRImageFrameTypeSequence = [kind]
    if part.b_value is not None:
        diffusion.DiffusionBValue = part.b_value
        diffusion.DiffusionDirectionality = "NONE" if part.b_value == 0 else "ISOTROPIC"
        if part.direction is not None:
            way = Dataset()
            way.DiffusionGradientOrientation = list(part.direction)
            diffusion.DiffusionDirectionality = "DIRECTIONAL"
            diffusion.DiffusionGradientDirectionSequence = [way]
        frame.MRDiffusionSequence = [diffusion]
    return frame


def _to_bytes(one: FileDataset, syntax: str) -> bytes:
    if syntax == "rle":
        one.compress(RLELossless, generate_instance_uid=False)
    elif syntax == "implicit":
        one.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    stream = io.BytesIO()
    one.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def _parse(data: bytes) -> FileDataset:
    import pydicom

    return pydicom.dcmread(io.BytesIO(data))
