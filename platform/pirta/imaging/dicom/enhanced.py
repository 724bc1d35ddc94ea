"""Slices of an Enhanced MR object: many frames in one file, each with its functional groups.

A frame's attribute is looked for in its own functional groups, then in the shared ones (DICOM
PS3.3 C.7.6.16). Classic images are read in `classic`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from pirta.errors import FileUnreadableError
from pirta.imaging.dicom.acquired import time_of, timing_of
from pirta.imaging.dicom.b_values import b_value_of, direction_of
from pirta.imaging.dicom.classic import first_item
from pirta.imaging.dicom.kinds import is_corrected, kind_of, says_diffusion
from pirta.imaging.dicom.origin import origin_of
from pirta.imaging.dicom.parse import SEND_AGAIN
from pirta.imaging.dicom.pixels import MAX_FRAMES, check_pixels, decode_frame
from pirta.imaging.dicom.plane import Triple, plane_of
from pirta.imaging.dicom.private import numbers_of, text_of
from pirta.imaging.dicom.rescale import Rescale, gain_of, rescale_of
from pirta.imaging.dicom.slices import Slice

Found = TypeVar("Found")

_UNASSIGNED = (
    "UnassignedPerFrameConvertedAttributesSequence",
    "UnassignedSharedConvertedAttributesSequence",
)
"""Where a converter from classic images leaves what has no place in Enhanced MR: b values too."""


def enhanced_slices(dataset: Dataset, *, role: str) -> list[Slice]:
    """Return the slices of an Enhanced object that are part of a diffusion study.

    Raises:
        FileUnreadableError, GeometryError: the object is damaged or has not the frames it claims.
    """
    frames = list(dataset.get("PerFrameFunctionalGroupsSequence") or ())
    shared = first_item(dataset, "SharedFunctionalGroupsSequence") or Dataset()
    found = (
        _slice_of(dataset, _Groups(frame, shared), number, role=role)
        for number, frame in enumerate(frames)
    )
    slices = [one for one in found if one is not None]
    if not slices and not says_diffusion(dataset, _words(dataset, _Groups(Dataset(), shared))):
        return []  # whatever is wrong with it
    claimed = numbers_of(dataset.get("NumberOfFrames"), "s")
    num_frames = int(claimed[0]) if claimed and claimed[0] <= MAX_FRAMES else 0
    if not frames or len(frames) != num_frames:
        raise FileUnreadableError(
            f"{role} describes {len(frames)} frames and claims {claimed[0] if claimed else 0:.0f}.",
            remedy=SEND_AGAIN,
        )
    check_pixels(dataset, num_frames, role=role)
    return slices


class _Groups:
    """The functional groups of one frame: its own first, then the shared ones."""

    def __init__(self, own: Dataset, shared: Dataset) -> None:
        self._own = own
        self._shared = shared

    def __call__(self, keyword: str) -> Dataset | None:
        return first_item(self._own, keyword) or first_item(self._shared, keyword)


def _slice_of(dataset: Dataset, groups: _Groups, number: int, *, role: str) -> Slice | None:
    role = f"Frame {number + 1} of {role}"
    diffusion, content = groups("MRDiffusionSequence"), groups("FrameContentSequence")
    holders = [one for one in (*map(groups, _UNASSIGNED), dataset) if one is not None]
    b_value = _first(b_value_of(one, diffusion, {}) for one in holders)
    words = _words(dataset, groups)
    kind = kind_of(
        dataset,
        image_type=words,
        diffusion=diffusion,
        complex_component=_component(dataset, groups),
        b_value=b_value,
    )
    if kind == "other":
        return None
    rescale = _rescale(dataset, groups, is_adc=kind == "adc")
    return Slice(
        plane=plane_of(
            groups("PlanePositionSequence"),
            groups("PlaneOrientationSequence"),
            groups("PixelMeasuresSequence"),
            role=role,
        ),
        shape=(int(dataset.Rows), int(dataset.Columns)),
        kind=kind,
        says_diffusion=says_diffusion(dataset, words),
        origin=origin_of(dataset),
        b_value_s_mm2=b_value,
        direction=_first(direction_of(one, diffusion, {}) for one in holders) if b_value else None,
        series=text_of(dataset.get("SeriesInstanceUID")),
        frame_of_reference=text_of(dataset.get("FrameOfReferenceUID")),
        order=_order(content, number),
        time=time_of(dataset),
        timing=timing_of(
            groups("MREchoSequence") or dataset,
            groups("MRTimingAndRelatedParametersSequence") or dataset,
        ),
        is_corrected=is_corrected(words),
        num_expected=None,
        adc_unit=rescale.adc_unit,
        gain=_first(gain_of(one, rescale) for one in holders),
        read=_reader(dataset, number, rescale, role),
    )


def _words(dataset: Dataset, groups: _Groups) -> list[str]:
    frame_type = groups("MRImageFrameTypeSequence") or Dataset()
    found = frame_type.get("FrameType") or dataset.get("ImageType") or ()
    return [found] if isinstance(found, str) else [str(word) for word in found]


def _component(dataset: Dataset, groups: _Groups) -> str:
    frame_type = groups("MRImageFrameTypeSequence") or Dataset()
    found = frame_type.get("ComplexImageComponent") or dataset.get("ComplexImageComponent")
    return text_of(found).upper()


def _rescale(dataset: Dataset, groups: _Groups, *, is_adc: bool) -> Rescale:
    name = "RealWorldValueMappingSequence"
    return rescale_of(
        groups("PixelValueTransformationSequence") or dataset,
        groups(name) or first_item(dataset, name),
        is_adc=is_adc,
        manufacturer=text_of(dataset.get("Manufacturer")),
    )


def _first(found: Iterable[Found | None]) -> Found | None:
    return next((one for one in found if one is not None), None)


def _reader(
    dataset: Dataset, number: int, rescale: Rescale, role: str
) -> Callable[[], NDArray[np.float32]]:
    return lambda: rescale.apply(decode_frame(dataset, number, role=role))


def _order(content: Dataset | None, number: int) -> Triple:
    holder = content or Dataset()
    names = ("TemporalPositionIndex", "FrameAcquisitionNumber")
    found = [numbers_of(holder.get(name), "i") for name in names]
    temporal, acquisition = (one[0] if one else 0.0 for one in found)
    return temporal, acquisition, float(number)
