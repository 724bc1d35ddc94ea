"""A whole report in the mode that it earned: written, from the template, or abstained."""

from __future__ import annotations

import pytest

from pirta.contracts.abstention import AbstentionLimits
from pirta.contracts.finding import Label
from pirta.contracts.quality import GateResult
from pirta.contracts.release import Calibration
from pirta.errors import UnavailableError
from pirta.reporting.answer import ANSWER_REGEX, answer_text
from tests.unit.reporting.examples import ANTERIOR, DEEP, Parts, cases, report


@pytest.mark.parametrize("text", ["well", answer_text(None), answer_text(DEEP)])
async def test_an_answer_that_its_sources_do_not_hold_up_is_asked_for_again_and_never_leaves(
    text: str,
) -> None:
    parts = Parts(text=text)
    made = await report(parts)
    assert (made.mode, made.outcome, made.finding) == ("abstained", "undetermined", None)
    assert {reason.code.value for reason in made.reasons} == {"contradiction"}
    assert parts.patterns[0] == ANSWER_REGEX
    assert len(parts.patterns) == 2
    assert made.evidence == tuple(parts.evidence)


async def test_a_classifier_that_denies_the_neighbours_makes_an_abstention_without_a_writer() -> (
    None
):
    parts = Parts(label=Label.NORMAL)
    made = await report(parts)
    assert made.mode == "abstained"
    assert [reason.code.value for reason in made.reasons] == ["encoder_disagrees"]
    assert made.confidence == pytest.approx(0.1**0.5)
    assert parts.prompts == []
    assert "no acute infarct" not in made.model_dump_json().lower()


async def test_the_releases_own_limits_decide_whether_a_report_abstains() -> None:
    strict = Calibration(abstention=AbstentionLimits(min_top_similarity=0.9))
    assert (await report(Parts())).mode == "written"
    made = await report(Parts(), calibration=strict)
    assert [reason.code.value for reason in made.reasons] == ["low_similarity"]


async def test_quality_warnings_lower_the_confidence() -> None:
    warned = GateResult(gate="b_value", value=2500, verdict="warn", reason="Far from 1000.")
    passed = GateResult(gate="spacing", value=2, verdict="pass")
    made = await report(Parts(gates=(warned, passed)))
    assert made.confidence == pytest.approx(0.7**0.5 * 0.95)


async def test_a_writer_that_is_down_is_replaced_by_the_template_and_the_report_says_so() -> None:
    made = await report(Parts(writer_fault=UnavailableError("Down.", remedy="Wait.")))
    assert (made.mode, made.finding) == ("template", ANTERIOR)
    assert [reason.code.value for reason in made.reasons] == ["writer_down"]


async def test_a_writer_that_is_late_is_replaced_by_the_template() -> None:
    made = await report(Parts(pause_s=5), writer_timeout_s=0.05)
    assert (made.mode, made.finding) == ("template", ANTERIOR)
    assert [reason.code.value for reason in made.reasons] == ["writer_late"]


async def test_an_abstention_is_not_compared_with_findings_that_it_does_not_state() -> None:
    made = await report(Parts(evidence=cases(*[None] * 5), label=Label.ANTERIOR))
    assert made.mode == "abstained"
    assert not any("findings" in warning for warning in made.warnings)
