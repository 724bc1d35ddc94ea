"""Reports and cases: the way through JSON, and what is refused."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from pirta.contracts.abstention import Reason, ReasonCode
from pirta.contracts.case import CaseRecord
from pirta.contracts.finding import (
    NORMAL_SENTENCE,
    Finding,
    InfarctType,
    Label,
    LesionClass,
    Territory,
    finding_sentence,
    label_of,
)
from pirta.contracts.release import Release
from pirta.contracts.report import (
    ABSTAINED_FINDINGS,
    ABSTAINED_IMPRESSION,
    ACUTE_IMPRESSION,
    DISCLAIMER,
    NORMAL_IMPRESSION,
    Provenance,
    Report,
    RetrievedCase,
)
from pirta.contracts.study import Registry

texts = st.text(max_size=40)
hashes = st.text("0123456789abcdef", min_size=64, max_size=64)
findings = st.none() | st.builds(
    Finding,
    lesion_class=st.sampled_from(LesionClass),
    infarct_type=st.sampled_from(InfarctType),
    territory=st.sampled_from(Territory),
)
neighbours = findings.flatmap(
    lambda finding: st.builds(
        RetrievedCase,
        case_id=texts,
        site=texts,
        similarity=st.floats(-1, 1),
        label=st.just(label_of(finding)),
        finding=st.just(finding),
        findings_text=texts,
    )
)
reason_lists = st.lists(
    st.builds(Reason, code=st.sampled_from(ReasonCode), sentence=texts), min_size=1, max_size=3
).map(tuple)
modes = st.tuples(st.sampled_from(["written", "template", "abstained"]), findings)


def of_mode(mode: str, finding: Finding | None) -> st.SearchStrategy[Report]:
    """Any report of a mode; what it says follows from the finding."""
    silent = mode == "abstained"
    impression = NORMAL_IMPRESSION if finding is None else ACUTE_IMPRESSION
    return st.builds(
        Report,
        study_id=texts,
        mode=st.just(mode),
        clinical_presentation=texts,
        nihss=texts,
        past_medical_history=texts,
        findings=st.just(ABSTAINED_FINDINGS if silent else finding_sentence(finding)),
        impression=st.just(ABSTAINED_IMPRESSION if silent else impression),
        finding=st.just(None if silent else finding),
        encoder_label=st.sampled_from(Label),
        encoder_probability=st.floats(0, 1),
        confidence=st.none() | st.floats(0, 1),
        reasons=st.just(()) if mode == "written" else reason_lists,
        evidence=st.lists(neighbours, max_size=5).map(tuple),
        warnings=st.lists(texts, max_size=3).map(tuple),
        provenance=st.builds(Provenance, **dict.fromkeys(Provenance.model_fields, hashes)),
    )


reports = modes.flatmap(lambda drawn: of_mode(*drawn))
releases = st.builds(
    Release,
    **dict.fromkeys(set(Release.model_fields) - {"num_cases", "dimensions"}, texts),
    num_cases=st.integers(0, 10**6),
    dimensions=st.integers(1, 4096),
)
PATHS = ("encoder_path", "writer_base_path", "writer_adapter_path")


@given(report=reports)
def test_a_report_comes_back_from_json(report: Report) -> None:
    assert Report.model_validate_json(report.model_dump_json()) == report


@given(report=reports)
def test_every_report_carries_the_disclaimer_and_the_papers_five_parts(report: Report) -> None:
    fields = json.loads(report.model_dump_json())
    assert fields["disclaimer"] == DISCLAIMER
    five = {"clinical_presentation", "nihss", "past_medical_history", "findings", "impression"}
    assert five <= set(fields)


@given(report=reports)
def test_the_outcome_follows_from_mode_and_finding(report: Report) -> None:
    if report.mode == "abstained":
        expected = "undetermined"
    else:
        expected = "no_acute_infarction" if report.finding is None else "acute_infarction"
    assert report.outcome == expected
    fields = json.loads(report.model_dump_json())
    del fields["outcome"]
    assert Report.model_validate(fields) == report


ABSTAINED: dict[str, object] = {
    "study_id": "s",
    "mode": "abstained",
    "clinical_presentation": "A patient.",
    "nihss": "unknown",
    "past_medical_history": "none recorded",
    "findings": ABSTAINED_FINDINGS,
    "impression": ABSTAINED_IMPRESSION,
    "finding": None,
    "encoder_label": "normal",
    "encoder_probability": 0.5,
    "reasons": [{"code": "low_similarity", "sentence": "Far."}],
    "evidence": [],
    "provenance": dict.fromkeys(Provenance.model_fields, "0"),
}
NORMAL_CASE = {
    "case_id": "c",
    "site": "s",
    "similarity": 0.9,
    "label": "normal",
    "finding": None,
    "findings_text": NORMAL_SENTENCE,
}


def test_an_abstained_report_comes_into_being_with_reasons_and_without_a_finding() -> None:
    assert Report.model_validate(ABSTAINED).outcome == "undetermined"


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"findings": NORMAL_SENTENCE}, "findings or an impression of its own"),
        ({"impression": NORMAL_IMPRESSION}, "findings or an impression of its own"),
        ({"outcome": "no_acute_infarction"}, "the outcome of this abstained report is not"),
        ({"reasons": []}, "reasons exactly where it is not written"),
        ({"warnings": ["No diffusion restriction was seen."]}, "read as normal"),
        ({"evidence": [NORMAL_CASE]}, "read as normal"),
        (
            {"reasons": [{"code": "contradiction", "sentence": "It said No Acute Infarction."}]},
            "read as normal",
        ),
    ],
)
def test_an_abstained_report_that_could_be_read_as_normal_does_not_come_into_being(
    changes: dict[str, object], problem: str
) -> None:
    with pytest.raises(ValidationError, match=problem):
        Report.model_validate(ABSTAINED | changes)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"mode": "written"}, "reasons exactly where"),
        ({"mode": "template"}, "do not say the same"),
        (
            {"mode": "template", "findings": NORMAL_SENTENCE, "impression": ACUTE_IMPRESSION},
            "do not say the same",
        ),
    ],
)
def test_a_report_whose_parts_differ_does_not_come_into_being(
    changes: dict[str, object], problem: str
) -> None:
    with pytest.raises(ValidationError, match=problem):
        Report.model_validate(ABSTAINED | changes)


def test_a_neighbour_whose_label_is_not_that_of_its_finding_is_refused() -> None:
    with pytest.raises(ValidationError, match="not that of the finding"):
        RetrievedCase.model_validate(NORMAL_CASE | {"label": "anterior"})


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
