"""The b value and gradient direction of one image, from wherever its vendor put them.

B values are in s/mm², directions are unit vectors in the patient's axes. An image whose header
tells no b value has none (None): what that means is decided in `select`. Whether a value is
near enough to 0 is not decided here.

Sources: DICOM PS3.3 C.8.13.5.9 (MR Diffusion); Siemens "SIEMENS MR HEADER" (0019,xx0C) and the
CSA header's B_value; Philips (2001,xx03), which holds 0.001 to 0.004 for repeated b0 volumes;
GE (0043,xx39), whose first number carries an offset of 10⁹ in multi-b protocols; UIH (0065,xx09).
GE's directions, (0019,xxBB) to (0019,xxBD), are along the image's frequency, phase and slice axes
rather than the patient's: distances between them are the same.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from pydicom.dataset import Dataset

from pirta.imaging.dicom.private import (
    GE_ACQUISITION,
    GE_PARAMETERS,
    PHILIPS,
    SIEMENS,
    UIH,
    csa_numbers,
    numbers_of,
    private_value,
)

GE_OFFSET = 10**9
MAX_B_S_MM2 = 100_000.0

Direction = tuple[float, float, float]


def b_value_of(dataset: Dataset, diffusion: Dataset | None, csa: Mapping[str, Any]) -> float | None:
    """Return the b value of a classic image or, with its MR Diffusion item, of a frame.

    Raises:
        ValueError: a b value that is negative, not finite, or beyond any scanner.
    """
    for found in (
        numbers_of(None if diffusion is None else diffusion.get("DiffusionBValue"), "d"),
        numbers_of(dataset.get("DiffusionBValue"), "d"),
        numbers_of(private_value(dataset, 0x0019, SIEMENS, 0x0C), "s"),
        csa_numbers(csa, "B_value"),
        numbers_of(private_value(dataset, 0x2001, PHILIPS, 0x03), "f"),
        _ge_b_value(dataset),
        numbers_of(private_value(dataset, 0x0065, UIH, 0x09), "d"),
    ):
        if found:
            return _checked(found[0])
    return None


def direction_of(
    dataset: Dataset, diffusion: Dataset | None, csa: Mapping[str, Any]
) -> Direction | None:
    """Return the gradient's direction, None where there is none or it is all zero."""
    item = None
    if diffusion is not None:
        sequence = diffusion.get("DiffusionGradientDirectionSequence")
        item = sequence[0] if sequence else None
    for found in (
        numbers_of(None if item is None else item.get("DiffusionGradientOrientation"), "d"),
        numbers_of(dataset.get("DiffusionGradientOrientation"), "d"),
        numbers_of(private_value(dataset, 0x0019, SIEMENS, 0x0E), "d"),
        csa_numbers(csa, "DiffusionGradientDirection"),
        _ge_direction(dataset),
        numbers_of(private_value(dataset, 0x0065, UIH, 0x37), "d"),
    ):
        if len(found) == 3 and all(map(math.isfinite, found)) and any(found):
            return found[0], found[1], found[2]
    return None


def _ge_b_value(dataset: Dataset) -> tuple[float, ...]:
    found = numbers_of(private_value(dataset, 0x0043, GE_PARAMETERS, 0x39), "s")
    if not found:
        return ()
    return (found[0] - GE_OFFSET if found[0] >= GE_OFFSET else found[0],)


def _ge_direction(dataset: Dataset) -> tuple[float, ...]:
    return tuple(
        part
        for element in (0xBB, 0xBC, 0xBD)
        for part in numbers_of(private_value(dataset, 0x0019, GE_ACQUISITION, element), "s")[:1]
    )


def _checked(b_value: float) -> float:
    if not 0 <= b_value <= MAX_B_S_MM2:  # false for NaN too
        raise ValueError("b value out of range")
    return b_value
