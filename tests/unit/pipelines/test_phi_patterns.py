"""What gives a person away is found; what a radiologist writes of a brain is not."""

from __future__ import annotations

import numpy as np
import pytest

from pirta.cohort.report_text import raw_report
from pirta.contracts.finding import (
    Finding,
    InfarctType,
    Laterality,
    LesionClass,
    Territory,
    finding_sentence,
)
from pirta.pipelines.phi_patterns import phi_kinds, phi_kinds_in_id

IDENTIFYING = {
    "date": (
        "Compared to 2023-11-02, no change.",
        "Compared to 2023/11/2.",
        "Last study 2019. 3. 4. shows",
        "2019년 3월 4일 검사와 비교",
        "Follow-up of 12/03/2024.",
        "Follow-up of 03.12.2024",
        "MRI on 5/6/23:",
        "seen on 12 March 2024",
        "seen on the 3rd of Feb",
        "since March 2021",
        "on Sept 12 and later",
    ),
    "phone number": (
        "called 010-1234-5678",
        "Tel: 031 555 0199",
        "+82 10 1234 5678 informed",
        "(555) 123-4567",
        "phone 555-0199-22",
    ),
    "e-mail address": ("sent to j.kim@hospital.example.org",),
    "record number": (
        "MRN 00123456",
        "MRN: A-4471",
        "Accession No. 20240312-07",
        "patient ID=44871",
        "chart no 88213",
        "900101-1234567",
        "078-05-1120",
        "see CT1234567",
        "study 12345678 was read",
    ),
    "name of a person": (
        "D/w Dr. Kim.",
        "Dr Lee informed",
        "Discussed with Prof. H. Meier-Schulz",
        "Mrs. Park fell",
        "Jane Doe, MD",
        "Radiologist: Kim",
        "Reported by Kim Minsu",
        "signed by: dr. Novak",
        "Patient name: whoever",
        "KIM^MINSU",
    ),
}
CLINICAL = (
    "Acute infarct in Lt. MCA territory, 2.5 x 3.1 x 1.2 cm.",
    "b=1000 s/mm2, TR/TE 4000/90, slice 5 mm, 3.0T.",
    "NIHSS 12, grade 3/5 weakness, mRS 2.",
    "Punctate lesions at C2/3 and L4-5; segments M1-M2.",
    "ADC 450-620 x 10-6 mm2/s, ratio 0.55-0.61.",
    "On MR. FLAIR shows no change. On MS. DWI shows none.",
    "Mild DR. ADC is low. Old lesions may 3 be chronic.",
    "marked, decreased and separate foci; second and third month",
    "Confirmed by MRI and read by the resident.",
    "Fazekas grade 2. 3. or 4. microbleeds",
    "size 12-14-9 mm, about 1.5.2 cm, 10/12 slices",
    "age-related change, 75-year-old",
    "뇌경색 소견 없음.",
    "",
)


@pytest.mark.parametrize(
    ("kind", "text"), [(kind, text) for kind, texts in IDENTIFYING.items() for text in texts]
)
def test_what_identifies_a_person_is_found_by_its_kind(kind: str, text: str) -> None:
    assert kind in phi_kinds(text)
    assert kind in phi_kinds(f"Small infarct.\n{text}\nNo hemorrhage.")


@pytest.mark.parametrize("text", CLINICAL)
def test_clinical_words_and_measures_are_let_through(text: str) -> None:
    assert phi_kinds(text) == ()


def test_no_sentence_that_a_writer_may_use_is_taken_for_identifying() -> None:
    findings = [None, *_all_findings()]
    assert [found for one in findings if (found := phi_kinds(finding_sentence(one)))] == []


def test_no_report_of_a_phantom_is_taken_for_identifying() -> None:
    rng = np.random.default_rng(0)
    texts = {raw_report(rng, one) for one in [None, *_all_findings()] * 20}
    assert len(texts) > 1000
    assert [text for text in texts if phi_kinds(text)] == []


@pytest.mark.parametrize(
    "name",
    ["demo-site-a-0001", "sub-strokecase0250", "3f2a91b04c77d210", "99120034aa10", "IXI012-HH-1211",
     "site-a", "Scanner 3T (2)", "00123", "research-3t"],
)  # fmt: skip
def test_pseudonyms_sites_and_scanners_are_no_identifying_ids(name: str) -> None:
    assert phi_kinds_in_id(name) == ()


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("12345678", "record number"),
        ("900101-1234567", "record number"),
        ("2024-03-12-a", "date"),
        ("KIM^MINSU", "name of a person"),
        ("j.kim@hospital.example", "e-mail address"),
    ],
)
def test_an_id_that_is_no_pseudonym_is_found(name: str, kind: str) -> None:
    assert kind in phi_kinds_in_id(name)


def _all_findings() -> list[Finding]:
    return [
        Finding(
            lesion_class=lesion_class,
            infarct_type=kind,
            territory=territory,
            laterality=side,
            multifocal=several,
        )
        for lesion_class in LesionClass
        for kind in InfarctType
        for territory in Territory
        for side in (None, *Laterality)
        for several in (False, True)
    ]
