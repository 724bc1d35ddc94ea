"""Lesion plans: the finding and the numbers never contradict each other."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pirta.cohort.lesion_plan import STRONG_BELOW_ADC_RATIO, lesion_class_of, plan_lesion
from pirta.contracts.finding import InfarctType, Label, Laterality, LesionClass, Territory

LESION_LABELS = [Label.ANTERIOR, Label.DEEP_GRAY, Label.POSTERIOR]
ONLY_DEEP = {InfarctType.SMALL_LACUNE, InfarctType.SMALL_STRIATO_CAPSULAR}
ONLY_CORTICAL = {InfarctType.LARGE_VASCULAR, InfarctType.WEDGE_VASCULAR}


@given(seed=st.integers(0, 2**32 - 1), label=st.sampled_from([None, *LESION_LABELS]))
def test_a_plan_agrees_with_itself(seed: int, label: Label | None) -> None:
    plan = plan_lesion(np.random.default_rng(seed), label=label)
    finding = plan.finding
    assert label is None or finding.label is label
    assert (finding.infarct_type in ONLY_DEEP) <= (finding.territory is Territory.DEEP_GRAY)
    assert (finding.infarct_type in ONLY_CORTICAL) <= (finding.territory is not Territory.DEEP_GRAY)
    assert lesion_class_of(plan.adc_ratio) is finding.lesion_class
    assert abs(plan.adc_ratio - STRONG_BELOW_ADC_RATIO) >= 0.039
    assert finding.multifocal == (plan.num_foci > 1)
    assert (finding.laterality is Laterality.BILATERAL) <= finding.multifocal
    assert 0.4 <= plan.target_volume_ml <= 180
    assert plan.dwi_ratio(adc=0.8, b_value_s_mm2=1000) > 1.15


def test_what_is_asked_for_is_kept() -> None:
    plan = plan_lesion(
        np.random.default_rng(0),
        label=Label.POSTERIOR,
        infarct_type=InfarctType.WEDGE_VASCULAR,
        lesion_class=LesionClass.MILD,
        laterality=Laterality.LEFT,
    )
    assert plan.finding.sentence() == (
        "There is mild wedge-shaped vascular territorial diffusion restriction "
        "in the posterior circulation territory."
    )
    assert plan.finding.laterality is Laterality.LEFT


def test_every_type_and_side_occurs() -> None:
    plans = [plan_lesion(np.random.default_rng(seed)) for seed in range(300)]
    assert {plan.finding.infarct_type for plan in plans} == set(InfarctType)
    assert {plan.finding.laterality for plan in plans} == set(Laterality)
    assert {plan.finding.lesion_class for plan in plans} == set(LesionClass)
    assert {plan.finding.multifocal for plan in plans} == {True, False}


def test_a_normal_study_has_no_lesion_to_plan() -> None:
    with pytest.raises(ValueError, match="normal study"):
        plan_lesion(np.random.default_rng(0), label=Label.NORMAL)


def test_a_lacune_of_the_cortex_is_refused() -> None:
    with pytest.raises(ValueError, match="no small lacune infarct in the anterior"):
        plan_lesion(
            np.random.default_rng(0), label=Label.ANTERIOR, infarct_type=InfarctType.SMALL_LACUNE
        )
