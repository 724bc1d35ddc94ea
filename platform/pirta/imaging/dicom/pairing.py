"""Which DWI and which ADC map belong together: one place, one frame of reference, one acquisition.

An ADC map goes with the DWI that lies nearest to it in time, never with a later one because that
is later. Where the nearest is minutes away nonetheless, the report says so. Nothing is decoded
here.
"""

from __future__ import annotations

from collections.abc import Sequence

from pirta.errors import ChannelMismatchError
from pirta.imaging.dicom.acquired import is_one_acquisition, minutes_apart
from pirta.imaging.dicom.pools import same_grid
from pirta.imaging.dicom.stack import Stack

WARN_APART_MIN = 5.0

Pair = tuple[tuple[Stack, ...], Stack]


def find_pairs(firsts: Sequence[tuple[Stack, ...]], maps: Sequence[Stack]) -> list[Pair]:
    """Return each ADC map with the DWI volumes on its grid that are nearest to it in time.

    Where nothing lies on one grid all pairs are returned, and the pair check says why they do
    not fit; but for those that another frame of reference keeps apart.

    Raises:
        ChannelMismatchError: every DWI was acquired in another frame of reference than any ADC.
    """
    every = [(first, one) for first in firsts for one in maps]
    pairs = [(first, one) for first, one in every if same_grid(first[0], one)]
    if not pairs:
        pairs = [(first, one) for first, one in every if not _is_elsewhere(first[0], one)]
    if not pairs:
        raise ChannelMismatchError(
            "The DWI and the ADC map lie in different frames of reference: the patient was placed "
            "anew between them.",
            remedy="Send the ADC map of the DWI's own acquisition, or the raw series with its b0.",
        )
    nearest = {id(one): min(_apart(pair) for pair in pairs if pair[1] is one) for _, one in pairs}
    return [pair for pair in pairs if _apart(pair) <= nearest[id(pair[1])]]


def shell_rank(shell: tuple[Stack, ...]) -> tuple[str, ...]:
    """Return by what the better of two DWI is told: the later, then the corrected one."""
    return (_end(shell), _correction(shell[0]))


def pair_rank(pair: Pair) -> tuple[str | float, ...]:
    """Return by what the better of two pairs is told: the later DWI, then its nearest ADC map."""
    time, correction = shell_rank(pair[0])
    return (time, -_apart(pair), pair[1].time, correction, _correction(pair[1]))


def time_warnings(dwi: tuple[Stack, ...], adc: Stack) -> tuple[str, ...]:
    """Return what the report has to say of the time between DWI and ADC map."""
    apart = _apart((dwi, adc))
    if apart <= WARN_APART_MIN:
        return ()
    return (
        f"The DWI and the ADC map lie {apart:.0f} minutes apart by their headers; they may be of "
        "different acquisitions.",
    )


def later_warnings(
    chosen: tuple[Stack, ...], firsts: Sequence[tuple[Stack, ...]]
) -> tuple[str, ...]:
    """Return what the report has to say of a DWI that was acquired later and is not used."""
    time, latest = _end(chosen), max(map(_end, firsts))
    if latest <= time or is_one_acquisition(time, latest):
        return ()
    return (
        f"A DWI acquired {minutes_apart(time, latest) or 0.0:.0f} minutes later is not used: no "
        "ADC map of its own was found.",
    )


def _end(shell: tuple[Stack, ...]) -> str:
    return max(stack.time for stack in shell)


def _apart(pair: Pair) -> float:
    """Return the minutes between an ADC map and the nearest of the DWI's volumes."""
    found = [minutes_apart(stack.time, pair[1].time) for stack in pair[0]]
    return min((apart for apart in found if apart is not None), default=0.0)


def _is_elsewhere(first: Stack, second: Stack) -> bool:
    frames = {first.first.frame_of_reference, second.first.frame_of_reference} - {""}
    return len(frames) > 1


def _correction(stack: Stack) -> str:
    return "corrected" if stack.first.is_corrected else ""
