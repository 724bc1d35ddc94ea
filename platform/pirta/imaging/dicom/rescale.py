"""From stored pixels to values, and which unit an ADC map's values are in, where a header tells.

The rescale slope and intercept of each frame are applied; they may differ from slice to slice.
Philips's private scaling (2005,100E) is not: it makes values comparable between series, and
within one diffusion series the display values (those of the rescale) already are, so that the
ADC, a ratio, is the same either way. Between series they are only where slope times private
scale is the same; that product is a slice's gain, and volumes of unlike gains are not fitted
together.

A Real World Value Mapping is the standard's own word on an ADC's unit and wins over all else
(PS3.3 C.7.6.16.2.11). Siemens stores ADC in 10⁻⁶ mm²/s and leaves the unit "unspecified"
(measured on XA30). Where nothing tells, None leaves the unit to the brain's median.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from pirta.imaging.adc_units import unit_named
from pirta.imaging.dicom.private import PHILIPS_MR, numbers_of, private_value, text_of

SIEMENS_UNIT = "10⁻⁶ mm²/s"

MOST = 1e20
"""Of slope and intercept: beyond it the values would leave float32."""


@dataclass(frozen=True)
class Rescale:
    """values = slope * stored + intercept; the unit is an ADC's, None where nothing tells."""

    slope: float
    intercept: float
    adc_unit: str | None

    def apply(self, stored_RC: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the values of stored pixels."""
        if self.slope == 1 and self.intercept == 0:
            return stored_RC
        return stored_RC * np.float32(self.slope) + np.float32(self.intercept)


def rescale_of(
    rescaled: Dataset | None, mapping: Dataset | None, *, is_adc: bool, manufacturer: str
) -> Rescale:
    """Return how to rescale an image.

    Args:
        rescaled: what holds RescaleSlope (the image, or a frame's functional group).
        mapping: the Real World Value Mapping item.

    Raises:
        ValueError: a slope or intercept that is not finite, or a slope of 0.
    """
    if is_adc and mapping is not None:
        unit, slope = _mapped_unit(mapping), mapping.get("RealWorldValueSlope")
        if unit is not None and slope is not None:
            return _checked(slope, mapping.get("RealWorldValueIntercept"), unit)
    holder = Dataset() if rescaled is None else rescaled
    unit = unit_named(text_of(holder.get("RescaleType"))) if is_adc else None
    if is_adc and unit is None and manufacturer.upper().startswith("SIEMENS"):
        unit = SIEMENS_UNIT
    slope = holder.get("RescaleSlope")
    return _checked(1 if slope is None else slope, holder.get("RescaleIntercept"), unit)


def gain_of(dataset: Dataset, rescale: Rescale) -> float | None:
    """Return what display values are of the signal: value = gain * signal; None where not told.

    Source: Chenevert et al., Transl. Oncol. 7, 2014 (signal = value / (slope * scale slope)).
    """
    found = numbers_of(private_value(dataset, 0x2005, PHILIPS_MR, 0x0E), "f")
    gain = rescale.slope * found[0] if found else 0.0
    return gain if 0 < gain < MOST else None


def _mapped_unit(mapping: Dataset) -> str | None:
    codes = mapping.get("MeasurementUnitsCodeSequence")
    return unit_named(text_of(codes[0].get("CodeValue"))) if codes else None


def _checked(slope: object, intercept: object, unit: str | None) -> Rescale:
    found = Rescale(
        slope=float(str(slope)),
        intercept=0.0 if intercept is None else float(str(intercept)),
        adc_unit=unit,
    )
    if not 0 < abs(found.slope) < MOST or not abs(found.intercept) < MOST:  # NaN: neither
        raise ValueError("rescale slope or intercept")
    return found
