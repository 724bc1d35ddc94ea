"""Reports and cases: the way through JSON, and what is refused."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from pirta.contracts.case import CaseRecord
from pirta.contracts.finding import Finding, InfarctType, Label, LesionClass, Territory
from pirta.contracts.report import DISCLAIMER, Provenance, Report, RetrievedCase
from pirta.contracts.study import Registry

texts = st.text(max_size=40)
hashes = st.text("0123456789abcdef", min_size=64, max_size=64)
findings = st.none() | st.builds(
    Finding,
    lesion_class=st.sampled_from(LesionClass),
    infarct_type=st.sampled_from(InfarctType),
    territory=st.sampled_from(Territory),
)
neighbours = st.builds(
    RetrievedCase,
    case_id=texts,
    site=texts,
    similarity=st.floats(-1, 1),
    label=st.sampled_from(Label),
    finding=findings,
    findings_text=texts,
)
reports = st.builds(
    Report,
    study_id=texts,
    clinical_presentation=texts,
    nihss=texts,
    past_medical_history=texts,
    findings=texts,
    impression=texts,
    finding=findings,
    encoder_label=st.sampled_from(Label),
    encoder_probability=st.floats(0, 1),
    evidence=st.lists(neighbours, max_size=5).map(tuple),
    warnings=st.lists(texts, max_size=3).map(tuple),
    provenance=st.builds(Provenance, **dict.fromkeys(Provenance.model_fields, hashes)),
)


@given(report=reports)
def test_a_report_comes_back_from_json(report: Report) -> None:
    assert Report.model_validate_json(report.model_dump_json()) == report


@given(report=reports)
def test_every_report_carries_the_disclaimer_and_the_papers_five_parts(report: Report) -> None:
    fields = json.loads(report.model_dump_json())
    assert fields["disclaimer"] == DISCLAIMER
    five = {"clinical_presentation", "nihss", "past_medical_history", "findings", "impression"}
    assert five <= set(fields)


def test_an_unknown_field_in_a_report_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"diagnosis\s+Extra inputs"):
        Report.model_validate({"diagnosis": "stroke"})


@pytest.mark.parametrize("similarity", [1.01, -1.01, float("nan")])
def test_a_similarity_that_is_no_cosine_is_refused(similarity: float) -> None:
    with pytest.raises(ValidationError, match="similarity"):
        RetrievedCase(
            case_id="c",
            site="s",
            similarity=similarity,
            label=Label.NORMAL,
            finding=None,
            findings_text="",
        )


@given(finding=findings)
def test_a_cases_label_and_sentence_follow_from_its_finding(finding: Finding | None) -> None:
    case = CaseRecord(
        case_id="c-1",
        patient_id="p-1",
        site="north",
        scanner="a",
        dwi_uri="dwi.nii.gz",
        adc_uri="adc.nii.gz",
        registry=Registry(age_years=70),
        finding=finding,
    )
    assert (case.label is Label.NORMAL) == (finding is None)
    assert case.findings_text.startswith("There is ")
    assert CaseRecord.model_validate_json(case.model_dump_json()) == case
