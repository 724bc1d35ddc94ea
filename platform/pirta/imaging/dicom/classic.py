"""Slices of a classic MR image: one file a slice, or a Siemens mosaic of all slices of a volume.

What a slice is, is said in `slices`. Enhanced multi-frame objects are read in `enhanced`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from pirta.imaging.dicom.acquired import time_of, timing_of
from pirta.imaging.dicom.b_values import b_value_of, direction_of
from pirta.imaging.dicom.kinds import is_corrected, kind_of, says_diffusion
from pirta.imaging.dicom.mosaic import mosaic_of
from pirta.imaging.dicom.origin import origin_of
from pirta.imaging.dicom.pixels import check_pixels, decode_frame
from pirta.imaging.dicom.plane import Triple, plane_of
from pirta.imaging.dicom.private import (
    GE_RELATION,
    PHILIPS,
    csa_tags,
    numbers_of,
    private_value,
    text_of,
)
from pirta.imaging.dicom.rescale import Rescale, gain_of, rescale_of
from pirta.imaging.dicom.slices import Slice

MAX_SLICES = 4096


def classic_slices(dataset: Dataset, *, role: str) -> list[Slice]:
    """Return the slices of a classic image that is part of a diffusion study, else none.

    Raises:
        FileUnreadableError, GeometryError, SeriesError: the image is damaged.
    """
    words = [str(word) for word in _several(dataset.get("ImageType"))]
    csa = _csa_of(dataset, words)
    b_value = b_value_of(dataset, None, csa)
    kind = kind_of(
        dataset,
        image_type=words,
        diffusion=None,
        complex_component=text_of(dataset.get("ComplexImageComponent")).upper(),
        b_value=b_value,
    )
    # A file that was cut may have lost what would say that it is one of ours.
    is_cut = "PixelData" not in dataset and (not words or says_diffusion(dataset, words))
    if kind == "other" and not is_cut:
        return []
    check_pixels(dataset, 1, role=role)
    plane = plane_of(dataset, dataset, dataset, role=role)
    rescale = rescale_of(
        dataset,
        first_item(dataset, "RealWorldValueMappingSequence"),
        is_adc=kind == "adc",
        manufacturer=text_of(dataset.get("Manufacturer")),
    )

    make = partial(
        Slice,
        kind=kind,
        says_diffusion=says_diffusion(dataset, words),
        origin=origin_of(dataset),
        b_value_s_mm2=b_value,
        direction=direction_of(dataset, None, csa) if b_value else None,
        series=text_of(dataset.get("SeriesInstanceUID")),
        frame_of_reference=text_of(dataset.get("FrameOfReferenceUID")),
        order=_order(dataset),
        time=time_of(dataset),
        timing=timing_of(dataset, dataset),
        is_corrected=is_corrected(words),
        adc_unit=rescale.adc_unit,
        gain=gain_of(dataset, rescale),
    )
    if "MOSAIC" in {word.upper() for word in words}:
        mosaic = mosaic_of(dataset, csa, plane, role=role)
        return [
            make(
                plane=mosaic.plane(number),
                shape=mosaic.shape,
                num_expected=mosaic.num_slices,
                read=_rescaled(rescale, mosaic.tile, number),
            )
            for number in range(mosaic.num_slices)
        ]
    return [
        make(
            plane=plane,
            shape=(int(dataset.Rows), int(dataset.Columns)),
            num_expected=_expected(dataset),
            read=_rescaled(rescale, partial(decode_frame, dataset, role=role), 0),
        )
    ]


def _csa_of(dataset: Dataset, words: list[str]) -> Mapping[str, Any]:
    """Return the CSA header's tags; a damaged one's only matter where it may tell a b value."""
    try:
        return csa_tags(dataset)
    except ValueError:
        if says_diffusion(dataset, words) or "MOSAIC" in {word.upper() for word in words}:
            raise
        return {}


def _rescaled(
    rescale: Rescale, stored: Callable[[int], NDArray[np.float32]], number: int
) -> Callable[[], NDArray[np.float32]]:
    return lambda: rescale.apply(stored(number))


def first_item(holder: Dataset, keyword: str) -> Dataset | None:
    """Return a sequence's first item, None where there is none."""
    sequence = holder.get(keyword)
    item = sequence[0] if sequence else None
    return item if isinstance(item, Dataset) else None


def _several(value: Any) -> list[Any]:
    if value is None:
        return []
    return [value] if isinstance(value, str) else list(value)


def _order(dataset: Dataset) -> Triple:
    names = ("TemporalPositionIdentifier", "AcquisitionNumber", "InstanceNumber")
    found = [numbers_of(dataset.get(name), "s") for name in names]
    temporal, acquisition, instance = (one[0] if one else 0.0 for one in found)
    return temporal, acquisition, instance


def _expected(dataset: Dataset) -> int | None:
    """Return how many slices the vendor says a volume has.

    Philips says it for one stack only; GE's "locations in the acquisition" is a volume's.
    """
    stacks = numbers_of(private_value(dataset, 0x2001, PHILIPS, 0x60), "i")
    found: tuple[float, ...] = ()
    if not stacks or stacks[0] == 1:
        found = numbers_of(private_value(dataset, 0x2001, PHILIPS, 0x18), "i")
    found = found or numbers_of(private_value(dataset, 0x0021, GE_RELATION, 0x4F), "s")
    return int(found[0]) if found and 1 < found[0] <= MAX_SLICES else None
