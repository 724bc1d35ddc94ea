"""The whole of a report over plain objects: the parts, the checks, the warnings."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pirta.contracts.abstention import AbstentionLimits
from pirta.contracts.access import SearchPolicy
from pirta.contracts.finding import Finding, Label
from pirta.contracts.release import Calibration
from pirta.contracts.report import Report
from pirta.contracts.study import StudyFiles, StudyImages
from pirta.errors import (
    FingerprintError,
    NoNeighboursError,
    RegistryError,
    ReleaseError,
)
from pirta.reporting.answer import answer_text
from pirta.reporting.cautions import PATIENT_UNKNOWN
from pirta.reporting.study_report import STAGES
from tests.unit.reporting.examples import (
    ANTERIOR,
    DEEP,
    HASH,
    REGISTRY,
    STUDY,
    Parts,
    cases,
    release,
    report,
)

# Words are compared with each other only where the report states any.
STATES_ALL = Calibration(abstention=AbstentionLimits(min_confidence=0))


async def test_a_report_has_the_papers_five_parts_and_its_evidence() -> None:
    parts = Parts()
    made = await report(parts)
    assert made.study_id == "study-1"
    assert made.clinical_presentation == "A 75-year-old Female patient with Altered Mentality."
    assert made.nihss == "32.0"
    assert made.past_medical_history == "HTN, Afib"
    assert made.findings == ANTERIOR.sentence()
    assert made.impression == "Acute infarction"
    assert made.finding == ANTERIOR
    assert made.evidence == tuple(parts.evidence)
    assert made.encoder_label is Label.ANTERIOR
    assert made.encoder_probability == pytest.approx(0.7)
    assert made.warnings == ()
    assert "Not for diagnosis" in made.disclaimer
    assert Report.model_validate_json(made.model_dump_json()) == made


async def test_provenance_is_the_releases() -> None:
    made = await report(Parts())
    known = release()
    assert made.provenance.release_id == known.release_id
    assert made.provenance.settings_sha256 == HASH
    for name in ("index_sha256", "writer_base_sha256", "writer_adapter_sha256", "prompt_sha256"):
        assert getattr(made.provenance, name) == getattr(known, name)
    assert made.provenance.index_collection == known.collection


async def test_the_search_goes_to_the_releases_collection_without_the_patients_own_cases() -> None:
    parts = Parts()
    await report(parts)
    (request,) = parts.requests
    assert request.collection == "cases_1"
    assert request.top_k == 5
    assert request.policy.exclude_patient_ids == {"patient-1"}


async def test_a_patient_whom_the_images_name_is_excluded_whatever_the_request_says() -> None:
    for said, excluded in ((None, {"patient-9"}), ("other", {"patient-9", "other"})):
        parts = Parts(patient_id="patient-9")
        made = await report(parts, study=replace(STUDY, patient_id=said))
        assert parts.requests[0].policy.exclude_patient_ids == excluded
        assert PATIENT_UNKNOWN not in made.warnings


async def test_a_report_of_a_patient_whom_nothing_names_says_so() -> None:
    parts = Parts()
    made = await report(parts, study=replace(STUDY, patient_id=None))
    assert parts.requests[0].policy.exclude_patient_ids == frozenset()
    assert PATIENT_UNKNOWN in made.warnings


async def test_the_whole_policy_goes_with_the_search_and_every_hop_names_the_release() -> None:
    parts = Parts()
    calibration = Calibration(min_similarity=0.3, min_patients=2)
    sites, withdrawn = frozenset({"site-a", "site-b"}), frozenset({"case-7"})
    await report(parts, sites=sites, withdrawn=withdrawn, calibration=calibration)
    (request,) = parts.requests
    assert request.policy == SearchPolicy(
        sites=sites,
        exclude_patient_ids=frozenset({"patient-1"}),
        withdrawn=withdrawn,
        min_similarity=0.3,
        min_patients=2,
    )
    known = release(calibration=calibration).release_id
    assert request.release_id == known
    assert parts.written_for == [known]


async def test_an_embedding_of_another_release_is_refused_before_the_search() -> None:
    parts = Parts(release_id="rel-other")
    with pytest.raises(ReleaseError, match="rel-other"):
        await report(parts)
    assert parts.requests == []


async def test_the_caution_about_low_similarity_starts_where_the_release_says() -> None:
    parts = Parts(evidence=cases(*[ANTERIOR] * 5, top=0.46))
    states = AbstentionLimits(min_top_similarity=-1)
    made = await report(parts, calibration=Calibration(low_similarity=0.4, abstention=states))
    assert made.mode == "written"
    assert not any("Low similarity" in warning for warning in made.warnings)


async def test_a_normal_study_is_reported_as_normal() -> None:
    parts = Parts(evidence=cases(*[None] * 5), text=answer_text(None), label=Label.NORMAL)
    made = await report(parts)
    assert made.finding is None
    assert made.findings == "There is no diffusion restriction."
    assert made.impression == "No acute infarction"
    assert made.warnings == ()


async def test_stages_are_told_in_order_as_they_end() -> None:
    told: list[tuple[str, float]] = []
    await report(Parts(), on_stage=lambda stage, seconds: told.append((stage, seconds)))
    assert tuple(stage for stage, _ in told) == STAGES
    assert all(seconds >= 0 for _, seconds in told)


async def test_a_stage_that_failed_is_not_told() -> None:
    told: list[str] = []
    parts = Parts(writer_fault=RegistryError("Too long.", remedy="Shorten it."))
    with pytest.raises(RegistryError):
        await report(parts, on_stage=lambda stage, _: told.append(stage))
    assert told == ["prepare", "encode", "retrieve"]


async def test_a_study_prepared_otherwise_is_refused_before_it_is_encoded() -> None:
    parts = Parts(fingerprint="0" * 64)
    with pytest.raises(FingerprintError, match="000000000000"):
        await report(parts)
    assert parts.requests == []


async def test_another_encoder_than_the_releases_is_refused_before_the_search() -> None:
    parts = Parts(encoder_sha256="0" * 64)
    with pytest.raises(ReleaseError, match="encoder at work is 000000000000"):
        await report(parts)
    assert parts.requests == []


async def test_a_release_of_another_prompt_is_refused() -> None:
    with pytest.raises(ReleaseError, match="prompt"):
        await report(Parts(), prompt_sha256="0" * 64)


async def test_no_neighbours_is_an_error_and_the_writer_is_not_asked() -> None:
    parts = Parts(evidence=())
    with pytest.raises(NoNeighboursError, match="cases_1"):
        await report(parts)
    assert parts.prompts == []


async def test_low_similarity_is_a_warning() -> None:
    made = await report(Parts(evidence=cases(*[ANTERIOR] * 5, top=0.46)))
    assert any("Low similarity" in warning and "0.46" in warning for warning in made.warnings)


async def test_disagreeing_neighbours_are_a_warning_with_their_counts() -> None:
    made = await report(Parts(evidence=cases(ANTERIOR, DEEP, ANTERIOR, ANTERIOR, None)))
    assert "The similar cases disagree: 3 anterior, 1 deep gray, 1 normal." in made.warnings


@pytest.mark.parametrize(
    ("label", "written", "part"),
    [
        (Label.DEEP_GRAY, ANTERIOR, "The findings say anterior, but the image classifier"),
        (Label.DEEP_GRAY, DEEP, "but most similar cases are anterior"),
        (Label.NORMAL, DEEP, "but most similar cases are anterior and the image classifier"),
    ],
)
async def test_parts_that_contradict_each_other_are_a_warning(
    label: Label, written: Finding, part: str
) -> None:
    evidence = cases(ANTERIOR, ANTERIOR, ANTERIOR, DEEP, DEEP)
    parts = Parts(evidence=evidence, label=label, text=answer_text(written))
    made = await report(parts, calibration=STATES_ALL)
    assert made.mode == "written"
    assert any(part in warning for warning in made.warnings)


async def test_a_sentence_that_no_case_supports_is_a_warning() -> None:
    other = DEEP.model_copy(update={"territory": ANTERIOR.territory})
    blend = ANTERIOR.model_copy(update={"infarct_type": DEEP.infarct_type})
    evidence = cases(ANTERIOR, ANTERIOR, ANTERIOR, other, other)
    made = await report(Parts(evidence=evidence, text=answer_text(blend)))
    assert made.finding == blend
    assert "The findings sentence stands in none of the similar cases." in made.warnings


async def test_fewer_cases_than_asked_for_is_a_warning() -> None:
    made = await report(Parts(evidence=cases(ANTERIOR)))
    assert "Only 1 of 5 similar cases were found." in made.warnings


async def test_the_preparers_warnings_reach_the_reader() -> None:
    facts: dict[str, float | str | bool] = {"warnings": "Thick slices.\nCropped.", "adc_unit": "x"}
    made = await report(Parts(facts=facts))
    assert made.warnings == ("Thick slices.", "Cropped.")


async def test_a_study_without_a_registry_row_is_reported_with_unknown_parts() -> None:
    made = await report(Parts(), study=StudyFiles("study-2", "site-a", StudyImages()))
    assert made.clinical_presentation == "A patient with unknown presentation."
    assert made.nihss == "unknown"
    assert REGISTRY.presentation not in made.model_dump_json()
