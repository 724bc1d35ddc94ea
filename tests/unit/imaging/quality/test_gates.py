"""A value against a gate's two limits, edges included."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pirta.imaging.quality.gates import Gate, pass_through
from pirta.settings import QualitySettings

SNR = Gate("snr", "", "The signal over the noise")
MOTION = Gate("motion", "mm", "The shift")
LIMITS = QualitySettings(snr_warn=8, snr_refuse=4, motion_warn_mm=3, motion_refuse_mm=8)
ORDER = ("refuse", "warn", "pass")


@pytest.mark.parametrize(
    ("gate", "value", "verdict", "limit"),
    [
        (SNR, 8.0, "pass", "at least 8"),
        (SNR, 7.99, "warn", "at least 8"),
        (SNR, 4.0, "warn", "at least 8"),
        (SNR, 3.99, "refuse", "at least 4"),
        (MOTION, 3.0, "pass", "at most 3 mm"),
        (MOTION, 3.01, "warn", "at most 3 mm"),
        (MOTION, 8.0, "warn", "at most 3 mm"),
        (MOTION, 8.01, "refuse", "at most 8 mm"),
    ],
)
def test_a_value_on_its_limit_is_within_it(
    gate: Gate, value: float, verdict: str, limit: str
) -> None:
    result = pass_through(gate, value, LIMITS)
    assert (result.verdict, result.limit) == (verdict, limit)


def test_a_reason_holds_the_value_and_the_limit_with_their_unit() -> None:
    assert pass_through(MOTION, 9.123, LIMITS).reason == (
        "The shift is 9.12 mm; at most 8 mm is needed."
    )
    assert pass_through(SNR, 5, LIMITS).reason == (
        "The signal over the noise is 5; at least 8 is wanted."
    )


def test_what_could_not_be_measured_is_warned_about_and_says_so() -> None:
    result = pass_through(MOTION, None, LIMITS)
    assert (result.value, result.verdict) == (None, "warn")
    assert result.reason == "The shift could not be measured."


@settings(deadline=None)
@given(first=st.floats(0, 100), second=st.floats(0, 100))
def test_a_better_value_never_has_a_worse_verdict(first: float, second: float) -> None:
    low, high = sorted((first, second))
    floors, ceilings = (
        [ORDER.index(pass_through(gate, value, LIMITS).verdict) for value in (low, high)]
        for gate in (SNR, MOTION)
    )
    assert floors[0] <= floors[1]
    assert ceilings[0] >= ceilings[1]
