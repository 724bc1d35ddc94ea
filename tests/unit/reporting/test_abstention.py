"""One confidence, and a named reason for each thing that speaks against a finding."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pirta.contracts.abstention import AbstentionLimits, ReasonCode
from pirta.contracts.finding import LABELS, Label
from pirta.contracts.report import RetrievedCase
from pirta.reporting.abstention import Signals, judge, read_signals
from tests.unit.reporting.drafts import any_evidence
from tests.unit.reporting.examples import ANTERIOR, DEEP, cases

SURE = Signals(
    label=Label.ANTERIOR,
    top_similarity=0.9,
    mean_similarity=0.85,
    agreement=1.0,
    encoder_support=0.95,
)
LIMITS = AbstentionLimits(
    min_top_similarity=0.5, min_mean_similarity=0.4, min_confidence=0.7, quality_factor=0.9
)
shares = st.floats(0, 1)
any_signals = st.builds(
    Signals,
    label=st.sampled_from(LABELS),
    top_similarity=st.floats(-1, 1),
    mean_similarity=st.floats(-1, 1),
    agreement=shares,
    encoder_support=shares,
    num_quality_warnings=st.integers(0, 5),
)


def probabilities(**values: float) -> np.ndarray:
    return np.array([values.get(label.value, 0.0) for label in LABELS], np.float32)


def codes(**changes: object) -> list[str]:
    signals = Signals(**(SURE.__dict__ | changes))
    return [reason.code.value for reason in judge(signals, LIMITS).reasons]


def test_clear_evidence_carries_a_finding() -> None:
    verdict = judge(SURE, LIMITS)
    assert not verdict.abstains
    assert verdict.confidence == pytest.approx(0.95**0.5)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"top_similarity": 0.46}, ["low_similarity"]),
        ({"mean_similarity": 0.3}, ["out_of_distribution"]),
        ({"agreement": 0.4}, ["neighbours_disagree"]),
        ({"encoder_support": 0.2}, ["encoder_disagrees"]),
        ({"agreement": 0.6, "encoder_support": 0.6}, ["neighbours_disagree", "encoder_disagrees"]),
        ({"num_quality_warnings": 4}, ["quality_warning"]),
        (
            {"top_similarity": 0.1, "mean_similarity": 0.1, "agreement": 0.1},
            ["low_similarity", "out_of_distribution", "neighbours_disagree"],
        ),
    ],
)
def test_each_thing_that_speaks_against_a_finding_is_named(
    changes: dict[str, object], expected: list[str]
) -> None:
    assert codes(**changes) == expected


def test_one_quality_warning_does_not_silence_a_clear_case() -> None:
    assert codes(num_quality_warnings=1) == []


@settings(deadline=None)
@given(any_signals, st.builds(AbstentionLimits, min_confidence=shares))
def test_a_confidence_below_the_limit_always_has_a_reason(
    signals: Signals, limits: AbstentionLimits
) -> None:
    verdict = judge(signals, limits)
    assert 0 <= verdict.confidence <= 1
    if verdict.confidence < limits.min_confidence:
        assert verdict.abstains
    far = {ReasonCode.LOW_SIMILARITY, ReasonCode.OUT_OF_DISTRIBUTION}
    if verdict.confidence >= limits.min_confidence:
        assert {reason.code for reason in verdict.reasons} <= far


@settings(deadline=None)
@given(any_signals)
def test_the_confidence_grows_with_either_vote_and_falls_with_warnings(signals: Signals) -> None:
    def confidence(**changes: object) -> float:
        return Signals(**(signals.__dict__ | changes)).confidence(quality_factor=0.9)

    assert confidence(agreement=1.0) >= confidence()
    assert confidence(encoder_support=1.0) >= confidence()
    assert confidence(num_quality_warnings=6) <= confidence()


@settings(deadline=None)
@given(any_signals)
def test_no_reason_names_a_label(signals: Signals) -> None:
    for reason in judge(signals, AbstentionLimits(min_confidence=1.0)).reasons:
        said = reason.sentence.lower()
        assert not any(label.value.replace("_", " ") in said for label in LABELS)


def test_the_signals_are_read_for_the_majority_or_for_what_was_written() -> None:
    evidence = cases(ANTERIOR, ANTERIOR, DEEP, top=0.8)
    said = probabilities(anterior=0.7, deep_gray=0.2)
    majority = read_signals(evidence, said)
    assert majority.label is Label.ANTERIOR
    assert majority.agreement == pytest.approx((0.8 + 0.79) / (0.8 + 0.79 + 0.78))
    assert majority.encoder_support == pytest.approx(0.7)
    assert (majority.top_similarity, majority.mean_similarity) == (0.8, pytest.approx(0.79))
    written = read_signals(evidence, said, label=Label.DEEP_GRAY, num_quality_warnings=2)
    assert written.agreement == pytest.approx(0.78 / 2.37)
    assert written.encoder_support == pytest.approx(0.2)
    assert written.num_quality_warnings == 2
    assert read_signals(evidence, said, label=Label.NORMAL).agreement == 0


@settings(deadline=None)
@given(any_evidence(), st.lists(shares, min_size=4, max_size=4))
def test_any_evidence_has_signals_that_can_be_judged(
    evidence: tuple[RetrievedCase, ...], values: list[float]
) -> None:
    signals = read_signals(evidence, np.array(values, np.float32))
    judge(signals, AbstentionLimits())
