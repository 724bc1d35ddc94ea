"""What lies beside a NIfTI file and tells what it is: .bval, .bvec and BIDS .json.

FSL's text files hold one b value (s/mm²) a volume and one direction a volume, in rows or in
columns; a BIDS JSON file holds the acquisition's fields by DICOM's names. Only what decides
something is read, and only numbers and known words leave this module: a JSON sidecar may hold
a patient's name.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pirta.errors import SeriesError
from pirta.imaging.adc_units import unit_named

MAX_BYTES = 2**22
MAX_B_VALUES = 10_000
MAX_UNIT = 40  # characters

_TRACE_TYPES = {"TRACEW", "TRACE", "ISOTROPIC"}
_OTHER_TYPES = {"FA", "EADC", "EXP", "TENSOR", "COLFA"}


@dataclass(frozen=True)
class ImageFacts:
    """What a BIDS JSON sidecar says of its image; None where it says nothing.

    Attributes:
        kind: "adc", "dwi" (a trace) or "other" (FA, exponential ADC), from ImageType.
        adc_unit: a key of `pirta.imaging.adc_units.UNITS`, from Units.
    """

    kind: str | None = None
    b_value_s_mm2: float | None = None
    slice_thickness_mm: float | None = None
    adc_unit: str | None = None


def read_b_values(data: bytes) -> list[float]:
    """Return a .bval file's values.

    Raises:
        SeriesError: it is no list of numbers.
    """
    return [float(b) for b in _numbers(data, "b-value").ravel()]


def read_directions(data: bytes) -> NDArray[np.float64]:
    """Return a .bvec file's directions, shape (volumes, 3), in the file's own frame.

    Raises:
        SeriesError: it is no table of three numbers a volume.
    """
    table = _numbers(data, "b-vector")
    if table.shape[0] == 3:  # FSL's layout; three volumes in columns look the same either way
        return table.T
    if table.shape[1] == 3:
        return table
    raise SeriesError(
        f"The b-vector file has {table.shape[0]} rows of {table.shape[1]} numbers.",
        remedy="Send three rows (x, y, z) with one number for each volume.",
    )


def read_image_facts(data: bytes) -> ImageFacts:
    """Return what a BIDS JSON sidecar says.

    Raises:
        SeriesError: it is no JSON object, or a field that decides is no number.
    """
    try:
        fields = json.loads(data) if len(data) <= MAX_BYTES else None
    except (ValueError, RecursionError):
        fields = None
    if not isinstance(fields, dict):
        raise SeriesError(
            "A JSON sidecar cannot be read.", remedy="Send the converter's own file, or none."
        )
    unit = fields.get("Units")
    return ImageFacts(
        kind=_kind(fields.get("ImageType")),
        b_value_s_mm2=_number(fields, "DiffusionBValue", 20_000),
        slice_thickness_mm=_number(fields, "SliceThickness", 100),
        adc_unit=unit_named(unit) if isinstance(unit, str) and len(unit) <= MAX_UNIT else None,
    )


def _numbers(data: bytes, what: str) -> NDArray[np.float64]:
    """Return a text file's numbers as a table; lines of one number each become one row."""
    error = SeriesError(
        f"The {what} file is no table of numbers.",
        remedy="Send the text file that the converter (such as dcm2niix) wrote.",
    )
    if len(data) > MAX_BYTES:
        raise error
    try:
        lines = data.decode("utf-8-sig").replace(",", " ").splitlines()
        rows = [[float(word) for word in line.split()] for line in lines if line.split()]
        table = np.array(rows, dtype=np.float64)  # rows of different lengths do not fit
    except ValueError:
        raise error from None
    if table.ndim != 2 or table.size > 3 * MAX_B_VALUES or not np.isfinite(table).all():
        raise error
    return table


def _kind(image_type: object) -> str | None:
    parts = image_type if isinstance(image_type, list) else [image_type]
    words = {
        word
        for part in parts
        if isinstance(part, str)
        for word in re.split(r"[_\W]+", part.upper())
    }
    if words & _OTHER_TYPES:
        return "other"
    if "ADC" in words:
        return "adc"
    return "dwi" if words & _TRACE_TYPES else None


def _number(fields: Mapping[str, object], name: str, most: float) -> float | None:
    value = fields.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= most:
        raise SeriesError(
            f"A JSON sidecar's {name} is no number from 0 to {most:g}.",
            remedy="Correct the field, or leave it out.",
        )
    return float(value)
