"""Raw reports name structures of the finding's territory, on its side."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pirta.cohort.report_text import raw_report
from pirta.contracts.finding import Finding, InfarctType, Laterality, LesionClass, Territory

FINDINGS = st.builds(
    Finding,
    lesion_class=st.sampled_from(LesionClass),
    infarct_type=st.sampled_from(InfarctType),
    territory=st.sampled_from(Territory),
    laterality=st.none() | st.sampled_from(Laterality),
    multifocal=st.booleans(),
)
ONLY_IN = {
    Territory.ANTERIOR: ("frontal", "precentral", "insula", "corona radiata", "MCA", "ACA"),
    Territory.DEEP_GRAY: ("putamen", "basal ganglia", "caudate", "capsul"),
    Territory.POSTERIOR: ("cerebell", "occipital", "pons", "medulla", "midbrain", "PCA"),
}


@given(FINDINGS, st.integers(0, 2**32 - 1))
def test_a_report_names_no_structure_of_another_territory(truth: Finding, seed: int) -> None:
    text = raw_report(np.random.default_rng(seed), truth)
    for territory, words in ONLY_IN.items():
        if territory is not truth.territory:
            assert not any(word in text for word in words), text


@given(FINDINGS, st.integers(0, 2**32 - 1))
def test_a_report_names_no_side_but_the_lesions_own(truth: Finding, seed: int) -> None:
    words = set(raw_report(np.random.default_rng(seed), truth).split())
    left, right, both = {"left", "Lt."}, {"right", "Rt."}, {"both", "bilateral"}
    allowed = {
        None: set(),
        Laterality.LEFT: left,
        Laterality.RIGHT: right,
        Laterality.BILATERAL: both,
    }[truth.laterality]
    assert words & (left | right | both) <= allowed
    assert not allowed or words & allowed


@given(FINDINGS, st.integers(0, 2**32 - 1))
def test_a_report_of_a_finding_concludes_with_an_infarction(truth: Finding, seed: int) -> None:
    text = raw_report(np.random.default_rng(seed), truth)
    assert "infarction" in text.splitlines()[-1]
    assert "No " not in text


@given(st.integers(0, 2**32 - 1))
def test_a_normal_report_names_no_territory_and_no_new_infarct(seed: int) -> None:
    text = raw_report(np.random.default_rng(seed), None)
    assert text.startswith(("No ", "Unremarkable"))
    assert "→ Acute" not in text
    assert not any(word in text for words in ONLY_IN.values() for word in words)


@pytest.mark.parametrize("truth", [None, "stroke"])
def test_reports_of_one_finding_vary(truth: str | None) -> None:
    finding = truth and Finding(
        lesion_class=LesionClass.MILD,
        infarct_type=InfarctType.SMALL,
        territory=Territory.POSTERIOR,
        laterality=Laterality.LEFT,
    )
    rng = np.random.default_rng(0)
    texts = {raw_report(rng, finding or None) for _ in range(100)}
    assert len(texts) > 30


def test_a_multifocal_finding_has_a_line_more_of_lesions() -> None:
    finding = Finding(
        lesion_class=LesionClass.STRONG,
        infarct_type=InfarctType.SMALL,
        territory=Territory.ANTERIOR,
        multifocal=True,
    )
    assert "lesions" in raw_report(np.random.default_rng(0), finding)
