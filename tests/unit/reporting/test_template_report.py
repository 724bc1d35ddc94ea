"""What a report says in each mode, and that an abstention can be read as nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pirta.contracts.abstention import ReasonCode
from pirta.contracts.finding import NORMAL_SENTENCE, Label, finding_sentence
from pirta.contracts.report import Report, RetrievedCase, reads_as_normal
from pirta.reporting.answer import answer_text
from pirta.reporting.consensus import consensus
from pirta.reporting.template_report import abstained_words, template_words
from tests.unit.reporting.drafts import (
    MIXED,
    WHY,
    abstained,
    any_evidence,
    report_of,
    template,
    written,
)
from tests.unit.reporting.examples import ANTERIOR, case


@settings(deadline=None)
@given(any_evidence(), st.sampled_from([ReasonCode.WRITER_DOWN, ReasonCode.WRITER_LATE]))
def test_the_template_says_the_neighbours_majority_and_why_it_speaks(
    evidence: tuple[RetrievedCase, ...], why: ReasonCode
) -> None:
    words = template_words(evidence, why=why, confidence=0.8)
    finding = consensus(evidence).finding
    assert f"Findings: {words.findings}\nImpression: {words.impression}" == answer_text(finding)
    assert words.findings == finding_sentence(words.finding)
    assert [reason.code for reason in words.reasons] == [why]
    assert report_of(words).mode == "template"


@settings(deadline=None)
@given(any_evidence())
def test_any_evidence_can_be_shown_below_an_abstention(
    evidence: tuple[RetrievedCase, ...],
) -> None:
    report = report_of(abstained_words(evidence, reasons=[WHY], confidence=0.2))
    assert report.outcome == "undetermined"
    assert [one.case_id for one in report.evidence] == [one.case_id for one in evidence]
    assert [one.label for one in report.evidence] == [one.label for one in evidence]
    assert not any(reads_as_normal(one.findings_text) for one in report.evidence)


def test_a_neighbour_whose_own_words_mention_a_normal_region_is_named_by_its_finding() -> None:
    wordy = case(ANTERIOR, 0.9).model_copy(
        update={"findings_text": f"{ANTERIOR.sentence()} No diffusion restriction elsewhere."}
    )
    shown = abstained_words((wordy,), reasons=[WHY], confidence=0.2).evidence
    assert shown[0].findings_text == ANTERIOR.sentence()


def test_a_normal_neighbour_keeps_its_label_below_an_abstention() -> None:
    assert abstained().evidence[0].label is Label.NORMAL


@pytest.mark.parametrize("report", [written(), template(), abstained()], ids=lambda r: r.mode)
def test_every_mode_comes_back_from_json(report: Report) -> None:
    assert Report.model_validate_json(report.model_dump_json()) == report


def test_the_other_modes_show_their_neighbours_as_they_are() -> None:
    for report in (written(), template()):
        assert report.evidence == MIXED
        assert report.evidence[0].findings_text == NORMAL_SENTENCE
