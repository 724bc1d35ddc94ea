"""Nothing leaves that its sources do not hold up, and what they hold up is let through."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pirta.contracts.finding import Finding, Label, Laterality, label_of
from pirta.contracts.report import RetrievedCase
from pirta.contracts.study import Registry
from pirta.reporting.answer import answer_regex_of, answer_text
from pirta.reporting.consensus import consensus
from pirta.reporting.drafting import draft_of
from pirta.reporting.grounding import (
    ContradictionCode,
    Draft,
    Sources,
    ground,
    supported_findings,
)
from tests.unit.reporting.drafts import (
    LEGAL,
    POSTERIOR,
    answer,
    any_evidence,
    any_finding,
    any_label,
)
from tests.unit.reporting.examples import ANTERIOR, DEEP, REGISTRY, case, cases

SOURCES = Sources(REGISTRY, cases(*[ANTERIOR] * 5), Label.ANTERIOR)
GOOD = draft_of(answer(ANTERIOR), SOURCES)


def codes(draft: Draft, sources: Sources = SOURCES) -> list[str]:
    return [one.code.value for one in ground(draft, sources).contradictions]


def of_finding(finding: Finding | None, sources: Sources) -> list[str]:
    return codes(draft_of(answer(finding), sources), sources)


def test_what_the_sources_say_holds() -> None:
    assert ground(GOOD, SOURCES).holds


@settings(deadline=None)
@given(any_evidence(), any_label)
def test_the_neighbours_majority_always_passes(
    evidence: tuple[RetrievedCase, ...], encoder_label: Label
) -> None:
    sources = Sources(REGISTRY, evidence, encoder_label)
    assert of_finding(consensus(evidence).finding, sources) == []
    assert consensus(evidence).finding in supported_findings(sources)


@settings(deadline=None)
@given(any_evidence(), any_label, any_finding)
def test_a_finding_that_neither_a_neighbour_nor_the_encoder_supports_is_caught(
    evidence: tuple[RetrievedCase, ...], encoder_label: Label, finding: Finding | None
) -> None:
    assume(label_of(finding) not in {encoder_label, *(item.label for item in evidence)})
    found = of_finding(finding, Sources(REGISTRY, evidence, encoder_label))
    assert "territory_unsupported" in found


@settings(deadline=None)
@given(any_evidence(), any_label, any_finding)
def test_a_class_or_a_type_that_no_neighbour_has_is_caught(
    evidence: tuple[RetrievedCase, ...], encoder_label: Label, finding: Finding | None
) -> None:
    assume(finding is not None)
    assert finding is not None
    known = [item.finding for item in evidence if item.finding is not None]
    found = of_finding(finding, Sources(REGISTRY, evidence, encoder_label))
    if finding.lesion_class not in {one.lesion_class for one in known}:
        assert "class_unsupported" in found
    if finding.infarct_type not in {one.infarct_type for one in known}:
        assert "type_unsupported" in found


@settings(deadline=None)
@given(any_evidence(), any_label)
def test_what_could_be_written_instead_is_what_passes(
    evidence: tuple[RetrievedCase, ...], encoder_label: Label
) -> None:
    sources = Sources(REGISTRY, evidence, encoder_label)
    passing = [finding for finding in LEGAL if not of_finding(finding, sources)]
    assert list(supported_findings(sources)) == passing


@pytest.mark.parametrize("place", range(5))
def test_one_poisoned_neighbour_of_five_is_no_support(place: int) -> None:
    findings = [ANTERIOR] * 5
    findings[place] = POSTERIOR
    sources = Sources(REGISTRY, cases(*findings), Label.ANTERIOR)
    assert "territory_unsupported" in of_finding(POSTERIOR, sources)


def test_two_of_five_neighbours_are_support() -> None:
    sources = Sources(REGISTRY, cases(ANTERIOR, ANTERIOR, ANTERIOR, DEEP, DEEP), Label.ANTERIOR)
    assert of_finding(DEEP, sources) == []


def test_the_encoder_alone_supports_a_territory_but_no_lesion_words() -> None:
    normal = Sources(REGISTRY, cases(*[None] * 5), Label.ANTERIOR)
    assert of_finding(ANTERIOR, normal) == ["class_unsupported", "type_unsupported"]
    near = Sources(REGISTRY, cases(None, None, None, None, ANTERIOR), Label.ANTERIOR)
    assert of_finding(ANTERIOR, near) == []


def test_no_restriction_needs_support_as_well() -> None:
    assert of_finding(None, SOURCES) == ["territory_unsupported"]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"clinical_presentation": "A 57-year-old Female patient."}, "registry_presentation"),
        ({"nihss": "3.2"}, "registry_nihss"),
        ({"past_medical_history": "HTN"}, "registry_history"),
        ({"past_medical_history": "HTN, Afib "}, "registry_history"),
        ({"impression": "No acute infarction"}, "impression_contradicts"),
        ({"impression": "Acute infarction. No acute infarction"}, "impression_contradicts"),
        ({"impression": "Acute infarction. Recommend MRA."}, "statement_unsourced"),
        ({"findings": ""}, "findings_form"),
        ({"findings": f"{ANTERIOR.sentence()} There is hemorrhage."}, "statement_unsourced"),
        ({"findings": f"{ANTERIOR.sentence()} There is no diffusion restriction."},
         "findings_contradict"),
        ({"findings": f"{ANTERIOR.sentence()} {DEEP.sentence()}"}, "territory_unsupported"),
        ({"findings": ANTERIOR.sentence().replace("the ant", "the left ant")}, "side_unsourced"),
        ({"impression": "Acute infarction, Rt"}, "side_unsourced"),
        ({"impression": "Acute infarction, bilateral"}, "side_unsourced"),
    ],
)  # fmt: skip
def test_each_rule_finds_its_breach(changes: dict[str, str], code: str) -> None:
    assert code in codes(replace(GOOD, **changes))


def test_a_side_that_a_source_names_may_be_written() -> None:
    sided = replace(GOOD, impression="Acute infarction, left")
    known = replace(SOURCES, sides=(Laterality.LEFT,))
    assert "side_unsourced" in codes(sided)
    assert "side_unsourced" not in codes(sided, known)


def test_a_neighbours_side_is_no_source() -> None:
    left = ANTERIOR.model_copy(update={"laterality": Laterality.LEFT})
    sources = replace(SOURCES, evidence=cases(*[left] * 5))
    assert "side_unsourced" in codes(replace(GOOD, impression="Acute infarction, left"), sources)


@settings(deadline=None)
@given(st.text(max_size=60), st.text(max_size=60))
def test_any_text_is_judged_and_no_sentence_of_it_repeated(findings: str, impression: str) -> None:
    found = ground(replace(GOOD, findings=findings, impression=impression), SOURCES)
    assert not found.holds or (findings.strip(), impression.strip(". \n")) != ("", "")
    known = {code.value for code in ContradictionCode}
    assert {one.code.value for one in found.contradictions} <= known
    assert all(one.sentence.endswith(".") for one in found.contradictions)


@settings(deadline=None)
@given(st.builds(Registry, presentation=st.text(max_size=80), nihss=st.integers(0, 42)))
def test_every_registry_row_holds_against_itself(registry: Registry) -> None:
    sources = replace(SOURCES, registry=registry)
    assert ground(draft_of(answer(ANTERIOR), sources), sources).holds


def test_the_second_trys_pattern_lets_through_what_is_supported_and_nothing_else() -> None:
    supported = supported_findings(Sources(REGISTRY, (case(ANTERIOR, 0.9),), Label.NORMAL))
    pattern = answer_regex_of(supported)
    through = [finding for finding in LEGAL if re.fullmatch(pattern, answer_text(finding))]
    assert through == list(supported) == [None, ANTERIOR]
    assert not set(re.sub(r"\\\.|\n|[A-Za-z0-9 :\-()|]", "", pattern))
