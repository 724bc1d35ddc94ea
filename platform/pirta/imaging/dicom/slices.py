"""One 2D slice of an MR image: where it lies, what it is, and how to get its pixels.

Axis suffixes: R rows, C columns. The plane is in the patient's axes as DICOM has them; the turn
to RAS+ is made in `stack`. No file is read here; see `classic`, `enhanced` and `mosaic`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pirta.imaging.dicom.acquired import Timing
from pirta.imaging.dicom.b_values import Direction
from pirta.imaging.dicom.kinds import Kind
from pirta.imaging.dicom.origin import Origin
from pirta.imaging.dicom.plane import Plane, Triple


@dataclass(frozen=True)
class Slice:
    """One slice.

    Attributes:
        plane: where its pixels lie.
        shape: rows, columns.
        kind: what the image is.
        says_diffusion: whether its own header says so, by more than a b value of 0 and EPI.
        origin: whose it is.
        b_value_s_mm2: as the header has it; None where it has none.
        direction: of the gradient, in the patient's axes.
        series, frame_of_reference: identifiers, to group by and never to show.
        order: temporal position, acquisition, instance: sorts repeated images of a place.
        time: of the acquisition, "YYYYMMDDHHMMSS.ffffff" or the part of it that is known.
        timing: echo and repetition time.
        is_corrected: whether the scanner says it corrected distortion.
        num_expected: slices a volume should have, where the header tells.
        adc_unit: of the rescaled values, where the header tells.
        gain: of the display values over the signal, where Philips tells (see `rescale`).
        read: returns the rescaled pixels, shape `(rows, columns)`.
    """

    plane: Plane
    shape: tuple[int, int]
    kind: Kind
    says_diffusion: bool
    origin: Origin
    b_value_s_mm2: float | None
    direction: Direction | None
    series: str
    frame_of_reference: str
    order: Triple
    time: str
    timing: Timing
    is_corrected: bool
    num_expected: int | None
    adc_unit: str | None
    gain: float | None
    read: Callable[[], NDArray[np.float32]]
