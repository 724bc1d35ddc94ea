"""When an image was acquired and with which echo: could two volumes be of one acquisition?

Times are in minutes, echo and repetition in milliseconds. Headers that tell nothing contradict
nothing: an unknown time or echo never keeps two volumes apart.
"""

from __future__ import annotations

import math
import re
from datetime import date

from pydicom.dataset import Dataset

from pirta.imaging.dicom.private import numbers_of, text_of

ONE_ACQUISITION_MIN = 10.0
"""Volumes further apart in time are of two acquisitions."""

TIMING_TOLERANCE = 0.01
"""Share by which echo and repetition times of one acquisition may differ."""

_MINUTES_A_DAY = 1440.0
_TIME = re.compile(
    r"(?:(\d{4})(\d{2})(\d{2}))?([01]\d|2[0-3])(?:([0-5]\d)([0-5]\d(?:\.\d*)?|60)?)?(?:[+-]\d{4})?"
)

Timing = tuple[float | None, float | None]
"""Echo time and repetition time in milliseconds, None where not told."""


def time_of(dataset: Dataset) -> str:
    """Return when an image was acquired, as far as its header tells, in an order of letters."""
    whole = text_of(dataset.get("AcquisitionDateTime"))
    if whole:
        return whole
    for what in ("Acquisition", "Series", "Content"):
        time = text_of(dataset.get(f"{what}Time"))
        if time:
            return text_of(dataset.get(f"{what}Date")) + time
    return ""


def minutes_apart(first: str, second: str) -> float | None:
    """Return the minutes between two of `time_of`, None where one of them tells no time.

    Where one has no date, both are taken to be of one day or of two following each other.
    """
    days, minutes = zip(_parts(first), _parts(second), strict=True)
    if minutes[0] is None or minutes[1] is None:
        return None
    apart = abs(minutes[0] - minutes[1])
    if days[0] is None or days[1] is None:
        return min(apart, _MINUTES_A_DAY - apart)
    return abs((days[0] - days[1]) * _MINUTES_A_DAY + minutes[0] - minutes[1])


def is_one_acquisition(first: str, second: str) -> bool:
    """Return whether two of `time_of` can be of one acquisition."""
    apart = minutes_apart(first, second)
    return apart is None or apart <= ONE_ACQUISITION_MIN


def timing_of(echo: Dataset | None, repetition: Dataset | None) -> Timing:
    """Return the echo and repetition time that an image or a frame's groups tell."""
    return (
        _milliseconds(echo, "EffectiveEchoTime") or _milliseconds(echo, "EchoTime"),
        _milliseconds(repetition, "RepetitionTime"),
    )


def same_timing(first: Timing, second: Timing) -> bool:
    """Return whether no told echo or repetition time contradicts the other's."""
    return all(
        one is None or other is None or math.isclose(one, other, rel_tol=TIMING_TOLERANCE)
        for one, other in zip(first, second, strict=True)
    )


def _parts(time: str) -> tuple[int | None, float | None]:
    """Return the number of the day and the minute of it."""
    found = _TIME.fullmatch(time.replace(":", ""))
    if found is None:
        return None, None
    year, month, day, hour, minute, second = found.groups()
    minutes = 60 * float(hour) + float(minute or 0) + float(second or 0) / 60
    if year is None:
        return None, minutes
    try:
        return date(int(year), int(month), int(day)).toordinal(), minutes
    except ValueError:  # no day of the calendar: the hour is all that is known
        return None, minutes


def _milliseconds(holder: Dataset | None, name: str) -> float | None:
    found = numbers_of(None if holder is None else holder.get(name), "d")
    return found[0] if found and 0 < found[0] < math.inf else None
