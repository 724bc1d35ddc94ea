"""Every figure of a writer on cases whose counts stand on paper."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from sklearn.metrics import f1_score

from pirta.contracts.finding import Finding, InfarctType, Laterality, LesionClass, Territory
from pirta.contracts.study import Registry
from pirta.evaluation.intervals import draw_weights
from pirta.evaluation.writer_figures import (
    ACCURACY,
    CONTRADICTION,
    COVERAGE,
    FIDELITY,
    FORM,
    RETRIEVAL,
    SELECTIVE,
    SENTENCE,
    UNSOURCED,
    system_values,
)
from pirta.evaluation.writer_reports import ToldReport, WriterCase
from pirta.evaluation.writer_slots import SLOTS, statements
from tests.unit.evaluation.writers import (
    ANTERIOR,
    DEEP,
    POSTERIOR,
    abstains,
    asked,
    lesion,
    out_of_form,
    says,
)

MILD_ANTERIOR = lesion(Territory.ANTERIOR, lesion_class=LesionClass.MILD)


def values(cases: Sequence[WriterCase], told: Sequence[ToldReport]) -> dict[str, float]:
    weights_SQ = np.ones((1, len(cases)))
    return {
        name: float(one.values_S[0]) for name, one in system_values(cases, told, weights_SQ).items()
    }


def test_an_abstention_and_a_text_out_of_form_are_no_right_answers_but_leave_the_stated() -> None:
    cases = [asked(one, number) for number, one in enumerate([ANTERIOR, DEEP, None, None, DEEP])]
    told = [says(MILD_ANTERIOR), says(None), says(None), abstains(), out_of_form()]
    found = values(cases, told)
    assert found[ACCURACY] == pytest.approx(2 / 5)
    assert found[SELECTIVE] == pytest.approx(2 / 3)
    assert found[COVERAGE] == pytest.approx(3 / 5)
    assert found[SENTENCE] == pytest.approx(1 / 5)
    assert found[FORM] == pytest.approx(4 / 5)
    assert found[RETRIEVAL] == 1.0


def test_retrieval_is_right_where_the_first_neighbour_is() -> None:
    cases = [asked(DEEP, 0, evidence=[DEEP, None]), asked(DEEP, 1, evidence=[None, DEEP])]
    assert values(cases, [abstains(), abstains()])[RETRIEVAL] == 0.5


def test_a_system_that_states_nothing_has_no_selective_accuracy() -> None:
    found = values([asked(DEEP)], [abstains()])
    assert np.isnan(found[SELECTIVE])
    assert np.isnan(found[CONTRADICTION])
    assert np.isnan(found[UNSOURCED])
    assert found[ACCURACY] == 0.0


def test_fidelity_is_of_texts_in_form_and_sees_another_patients_row() -> None:
    other = asked(DEEP, 1, registry=Registry(age_years=75))
    found = values([asked(DEEP), other, asked(DEEP, 2)], [says(DEEP), says(DEEP), out_of_form()])
    assert found[FIDELITY] == 0.5


def test_contradictions_are_counted_once_a_stated_report() -> None:
    cases = [asked(DEEP, number) for number in range(3)]
    told = [says(DEEP, contradictions=("a", "b")), says(DEEP), abstains()]
    assert values(cases, told)[CONTRADICTION] == 0.5


def test_a_statement_without_any_source_is_counted_slot_by_slot() -> None:
    case = asked(ANTERIOR, evidence=[ANTERIOR, None])
    assert statements(case, says(ANTERIOR)) == (3, 0)
    assert statements(case, says(MILD_ANTERIOR)) == (3, 1)
    assert statements(case, says(POSTERIOR)) == (3, 1)
    assert statements(case, says(None)) == (1, 0)
    assert statements(case, abstains()) == (0, 0)
    elsewhere = asked(None, evidence=[None], encoder_label=ANTERIOR.label)
    assert statements(elsewhere, says(ANTERIOR)) == (3, 2)  # the classifier names its label alone
    told = [says(MILD_ANTERIOR), says(None)]
    assert values([case, case], told)[UNSOURCED] == pytest.approx(1 / 4)


def _plain_f1(slot: str, truths: list[Finding | None], stated: list[Finding | None]) -> float:
    """scikit-learn's micro-average over the slot's values, where a missing value is no class."""
    names = [
        ["" if one is None else str(SLOTS[slot](one)) for one in findings]
        for findings in (truths, stated)
    ]
    labels = sorted({name for side in names for name in side if name})
    return float(f1_score(*names, labels=labels, average="micro"))


@pytest.mark.parametrize("slot", ["class", "type", "territory"])
def test_slot_f1_is_scikit_learns_micro_average(slot: str) -> None:
    rng = np.random.default_rng(3)
    legal: list[Finding | None] = [None, *(
        Finding(lesion_class=one, infarct_type=kind, territory=place)
        for one in LesionClass for kind in InfarctType for place in Territory
    )]  # fmt: skip
    truths = [legal[number] for number in rng.integers(len(legal), size=60)]
    stated = [
        truth if rng.random() < 0.5 else legal[int(rng.integers(len(legal)))] for truth in truths
    ]
    found = values(
        [asked(one, number) for number, one in enumerate(truths)], [says(one) for one in stated]
    )
    assert found[f"slot-F1: {slot}"] == pytest.approx(_plain_f1(slot, truths, stated))


def test_negation_is_the_f1_of_saying_normal() -> None:
    cases = [asked(one, number) for number, one in enumerate([None, None, None, DEEP, DEEP])]
    told = [says(None), says(DEEP), abstains(), says(None), says(DEEP)]
    # One hit, one false (the fourth), two missed (the second, the third).
    assert values(cases, told)["slot-F1: negation"] == pytest.approx(2 / 5)


def test_a_side_that_no_report_can_state_has_no_figure() -> None:
    sided = ANTERIOR.model_copy(update={"laterality": Laterality.LEFT})
    assert np.isnan(values([asked(sided)], [says(sided)])["slot-F1: laterality"])


def test_a_figure_without_spread_has_the_exact_binomial_interval() -> None:
    cases = [asked(DEEP, number) for number in range(20)]
    patient_ids = np.array([case.patient_id for case in cases])
    weights_SQ = draw_weights(patient_ids, num_resamples=50)
    found = system_values(cases, [says(DEEP)] * 20, weights_SQ)
    for name in (ACCURACY, SELECTIVE, FORM, FIDELITY):
        assert found[name].interval().low == pytest.approx(0.025 ** (1 / 20))
