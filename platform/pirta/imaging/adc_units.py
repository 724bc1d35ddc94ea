"""Find out which unit an ADC map is in, and bring it to 10⁻³ mm²/s.

Axis suffixes: X Y Z voxels (RAS+). Scanners and toolboxes write ADC in mm²/s (0.0008),
10⁻³ mm²/s (0.8) or 10⁻⁶ mm²/s (800), and the NIfTI header does not say which. The brain's
median tells: it lies near 0.8 · 10⁻³ mm²/s in adults, and the three readings are a factor
of 1000 apart, so that no brain can be read in two ways.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pirta.errors import IntensityError

UNITS = {"mm²/s": 1e3, "10⁻³ mm²/s": 1.0, "10⁻⁶ mm²/s": 1e-3}
"""Unit to the factor that brings it to 10⁻³ mm²/s."""

_FILLING = re.compile(r"[\s.*^{}_×x·]+")
_PLAIN = str.maketrans({"²": "2", "³": "3", "⁶": "6", "⁻": "-", "µ": "u", "μ": "u"})
_SPELLINGS = {
    "mm2/s": "mm²/s",
    "10-3mm2/s": "10⁻³ mm²/s",
    "1e-3mm2/s": "10⁻³ mm²/s",
    "e-3mm2/s": "10⁻³ mm²/s",
    "um2/ms": "10⁻³ mm²/s",
    "10-6mm2/s": "10⁻⁶ mm²/s",
    "1e-6mm2/s": "10⁻⁶ mm²/s",
    "e-6mm2/s": "10⁻⁶ mm²/s",
    "um2/s": "10⁻⁶ mm²/s",
}

PLAUSIBLE_MEDIAN = (0.4, 2.0)
"""Of a brain with its CSF, in 10⁻³ mm²/s: neonates and wide ventricles reach above 1.2."""

MIN_POSITIVE_SHARE = 0.5

TYPICAL_MEDIAN = 0.8
CONTRADICTION = 100.0
"""A stated unit whose median is off by this factor is another one's: units lie 1000 apart."""


@dataclass(frozen=True)
class AdcReading:
    """How an ADC map was read: its unit, factor, and brain median in 10⁻³ mm²/s.

    `source` is what told the unit: what came with the images, or the brain's median.
    """

    unit: str
    factor: float
    median: float
    source: Literal["metadata", "median"] = "median"


def unit_named(text: str) -> str | None:
    """Return the key of `UNITS` that a header's or sidecar's text names, None where it is none."""
    return _SPELLINGS.get(_FILLING.sub("", text.lower().translate(_PLAIN)))


def find_adc_unit(
    adc_XYZ: NDArray[np.float32], mask_XYZ: NDArray[np.bool_], *, stated: str | None = None
) -> AdcReading:
    """Return the unit in which this ADC map is a brain's.

    Voxels at or below zero (noise, or masked by the scanner) do not enter the median.

    Args:
        stated: a key of `UNITS` where metadata tells; it is taken, unless no brain could be so.

    Raises:
        IntensityError: no unit gives a plausible brain, the stated one makes the median 100
            times too large or small, or most of the brain has no ADC.
    """
    inside = adc_XYZ[mask_XYZ]
    positive = inside[inside > 0]
    share = positive.size / max(1, inside.size)
    if share < MIN_POSITIVE_SHARE:
        raise IntensityError(
            f"The ADC map is positive in {share:.0%} of the brain only.",
            remedy="Send the ADC map itself, not a mask, a phase or an exponential ADC image.",
        )
    raw_median = float(np.median(positive))
    if stated is not None:
        return _as_stated(raw_median, stated)
    low, high = PLAUSIBLE_MEDIAN
    for unit, factor in UNITS.items():
        if low <= raw_median * factor <= high:
            return AdcReading(unit=unit, factor=factor, median=raw_median * factor)
    raise IntensityError(
        f"The ADC map's median in the brain is {raw_median:.4g}, which is no brain in any unit "
        f"({low} to {high} in 10⁻³ mm²/s is possible).",
        remedy="Send the ADC in mm²/s, 10⁻³ or 10⁻⁶ mm²/s, and check that DWI and ADC are not "
        "swapped.",
    )


def _as_stated(raw_median: float, unit: str) -> AdcReading:
    median = raw_median * UNITS[unit]
    if not 1 / CONTRADICTION < median / TYPICAL_MEDIAN < CONTRADICTION:
        raise IntensityError(
            f"The ADC map is said to be in {unit}, and its median in the brain is "
            f"{raw_median:.4g}: that would be {median:.4g} · 10⁻³ mm²/s, where a brain has about "
            f"{TYPICAL_MEDIAN}.",
            remedy="Correct the unit or the scaling at the source, or send the ADC map without a "
            "stated unit.",
        )
    return AdcReading(unit=unit, factor=UNITS[unit], median=median, source="metadata")
