"""A phantom study whose answer is known, and the hand that writes it as DICOM.

Axis suffixes: X Y Z voxels (RAS+); I J K columns, rows, slices as stored. The writer knows
nothing of the reader: it turns the volume into a stored orientation with nibabel, and writes
positions and cosines from the turned affine.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from pirta.imaging.volume import Volume

SHAPE = (6, 7, 8)
SPACING_MM = (2.0, 2.5, 4.0)
MR_IMAGE = "1.2.840.10008.5.1.4.1.1.4"
ENHANCED = "1.2.840.10008.5.1.4.1.1.4.1"
AS_AXIAL = np.array([[0, -1], [1, -1], [2, 1]])
"""The usual way: columns to the left, rows to the back, slices to the head."""


def tilted(degrees: float, axis: int = 0) -> NDArray[np.float64]:
    """Return a phantom's affine, its axes turned about one of the patient's."""
    turn = np.deg2rad(degrees)
    rotation = np.eye(3)
    first, second = [one for one in range(3) if one != axis]
    rotation[first, first] = rotation[second, second] = np.cos(turn)
    rotation[first, second], rotation[second, first] = -np.sin(turn), np.sin(turn)
    affine = np.eye(4)
    affine[:3, :3] = rotation @ np.diag(SPACING_MM)
    affine[:3, 3] = [-5.5, -8.25, 12.0]
    return affine


def phantom(low: int, high: int, seed: int, affine: NDArray[np.float64] | None = None) -> Volume:
    """Return a volume of whole numbers, no two slices of it alike."""
    values = np.random.default_rng(seed).integers(low, high, SHAPE)
    return Volume(values.astype(np.float32), tilted(0) if affine is None else affine)


@dataclass
class Series:
    """How a volume is written: everything that a header says of it."""

    volume: Volume
    image_type: list[str]
    b_value: float | None = None
    direction: tuple[float, float, float] | None = None
    uid: str = field(default_factory=generate_uid)
    time: str = "120000"
    turn: NDArray[np.int_] = field(default_factory=lambda: AS_AXIAL)
    slope: float = 1.0
    description: str = "DWI"
    manufacturer: str = "Phantom"
    first_instance: int = 1
    frame_of_reference: str = "1.2.3.4"
    extra: dict[str, Any] = field(default_factory=dict)

    def stored(self) -> tuple[NDArray[np.uint16], NDArray[np.float64]]:
        """Return the stored voxels as I J K and the affine (LPS) of them."""
        values_IJK = nib.apply_orientation(self.volume.data_XYZ, self.turn)
        affine = self.volume.affine @ nib.orientations.inv_ornt_aff(
            self.turn, self.volume.data_XYZ.shape
        )
        whole = np.rint(values_IJK / self.slope).astype(np.uint16)
        return whole, np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine


def _new(series: Series, sop_class: str, instance: str) -> FileDataset:
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = sop_class
    meta.MediaStorageSOPInstanceUID = instance
    one = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    one.SOPClassUID, one.SOPInstanceUID = sop_class, instance
    one.SeriesInstanceUID = series.uid
    one.FrameOfReferenceUID = series.frame_of_reference
    one.ImageType, one.SeriesDescription = series.image_type, series.description
    one.Manufacturer = series.manufacturer
    one.AcquisitionDate, one.AcquisitionTime = "20260102", series.time
    one.SamplesPerPixel, one.PhotometricInterpretation = 1, "MONOCHROME2"
    one.BitsAllocated, one.BitsStored, one.HighBit, one.PixelRepresentation = 16, 16, 15, 0
    return one


def _plane(affine: NDArray[np.float64], k: int) -> tuple[list[float], list[float], list[float]]:
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    cosines = affine[:3, :2] / spacing[:2]
    position = (affine @ np.array([0.0, 0.0, k, 1.0]))[:3]
    return (
        [round(float(one), 7) for one in position],
        [round(float(one), 9) for one in cosines.T.ravel()],
        [round(float(spacing[1]), 6), round(float(spacing[0]), 6)],
    )


def to_bytes(dataset: FileDataset) -> bytes:
    """Return a dataset as the bytes of a file."""
    stream = io.BytesIO()
    dataset.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def classic_datasets(series: Series) -> list[FileDataset]:
    """Return one dataset a slice."""
    values_IJK, affine = series.stored()
    found = []
    for k in range(values_IJK.shape[2]):
        one = _new(series, MR_IMAGE, generate_uid())
        one.Rows, one.Columns = values_IJK.shape[1], values_IJK.shape[0]
        one.ImagePositionPatient, one.ImageOrientationPatient, one.PixelSpacing = _plane(affine, k)
        one.InstanceNumber = series.first_instance + k
        one.RescaleSlope, one.RescaleIntercept = series.slope, 0
        if series.b_value is not None:
            one.DiffusionBValue = series.b_value
        if series.direction is not None:
            one.DiffusionGradientOrientation = list(series.direction)
        for name, value in series.extra.items():
            setattr(one, name, value)
        one.PixelData = np.ascontiguousarray(values_IJK[:, :, k].T).tobytes()
        found.append(one)
    return found


def classic(*many: Series) -> dict[str, bytes]:
    """Return the files of one or more series, one a slice."""
    found = [one for series in many for one in classic_datasets(series)]
    return {f"{number:04d}": to_bytes(one) for number, one in enumerate(found)}


def _item(**values: Any) -> Sequence:
    one = Dataset()
    for name, value in values.items():
        setattr(one, name, value)
    return Sequence([one])


def enhanced_dataset(*many: Series, order: NDArray[np.int_] | None = None) -> FileDataset:
    """Return one Enhanced object with the frames of several volumes of a series."""
    first = many[0]
    frames, pixels = [], []
    for series in many:
        values_IJK, affine = series.stored()
        for k in range(values_IJK.shape[2]):
            position, cosines, spacing = _plane(affine, k)
            frame = Dataset()
            frame.PlanePositionSequence = _item(ImagePositionPatient=position)
            frame.MRImageFrameTypeSequence = _item(
                FrameType=series.image_type, ComplexImageComponent="MAGNITUDE"
            )
            frame.PixelValueTransformationSequence = _item(
                RescaleSlope=series.slope, RescaleIntercept=0, RescaleType="US"
            )
            if series.b_value is not None:
                frame.MRDiffusionSequence = _item(
                    DiffusionBValue=series.b_value, DiffusionDirectionality="NONE"
                )
                if series.direction is not None:
                    frame.MRDiffusionSequence[0].DiffusionGradientDirectionSequence = _item(
                        DiffusionGradientOrientation=list(series.direction)
                    )
            frames.append(frame)
            pixels.append(np.ascontiguousarray(values_IJK[:, :, k].T))
    shared = Dataset()
    shared.PlaneOrientationSequence = _item(ImageOrientationPatient=cosines)
    shared.PixelMeasuresSequence = _item(PixelSpacing=spacing, SliceThickness=3.5)
    one = _new(first, ENHANCED, generate_uid())
    one.Rows, one.Columns = pixels[0].shape
    numbers = np.arange(len(frames)) if order is None else order
    one.NumberOfFrames = len(frames)
    one.SharedFunctionalGroupsSequence = Sequence([shared])
    one.PerFrameFunctionalGroupsSequence = Sequence([frames[number] for number in numbers])
    one.PixelData = b"".join(pixels[number].tobytes() for number in numbers)
    return one


def trace(seed: int = 1, **changes: Any) -> Series:
    """Return a scanner's trace at b 1000."""
    affine = changes.pop("affine", None)
    kind = ["DERIVED", "PRIMARY", "DIFFUSION", "TRACEW"]
    return Series(
        phantom(100, 900, seed, affine), **{"image_type": kind, "b_value": 1000.0} | changes
    )


def adc_map(seed: int = 2, **changes: Any) -> Series:
    """Return a scanner's ADC map."""
    affine = changes.pop("affine", None)
    kind = ["DERIVED", "PRIMARY", "DIFFUSION", "ADC"]
    return Series(phantom(300, 3000, seed, affine), **{"image_type": kind} | changes)


def raw(
    b_value: float, direction: tuple[float, float, float] | None = None, **changes: Any
) -> Series:
    """Return a raw diffusion volume: 20000 exp(-b ADC) of an ADC that varies from 0.5 to 1.5."""
    diffusivity = np.random.default_rng(5).uniform(0.5e-3, 1.5e-3, SHAPE)
    values = np.rint(20_000 * np.exp(-b_value * diffusivity)).astype(np.float32)
    kind = ["ORIGINAL", "PRIMARY", "DIFFUSION", "NONE"]
    volume = Volume(values, changes.pop("affine", tilted(0)))
    return Series(
        volume, **{"image_type": kind, "b_value": b_value, "direction": direction} | changes
    )


@pytest.fixture(scope="session")
def dicom() -> SimpleNamespace:
    """The writer's functions: tests cannot import from a conftest."""
    return SimpleNamespace(
        SHAPE=SHAPE,
        Series=Series,
        adc_map=adc_map,
        classic=classic,
        classic_datasets=classic_datasets,
        enhanced_dataset=enhanced_dataset,
        phantom=phantom,
        raw=raw,
        tilted=tilted,
        to_bytes=to_bytes,
        trace=trace,
    )
