"""A writer against the best of the rules: the test, and what the sentence says of it."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from scipy.stats import binomtest

from pirta.evaluation.writer_comparison import SystemComparison, compare_with_best
from pirta.evaluation.writer_reports import ToldReport
from tests.unit.evaluation.writers import DEEP, abstains, asked, says


def compared(
    writer: Sequence[ToldReport],
    *rules: Sequence[ToldReport],
    stated_only: bool = False,
) -> SystemComparison | None:
    told = {"writer": writer} | {f"rule {number}": rule for number, rule in enumerate(rules)}
    return compare_with_best(
        [asked(DEEP, number) for number in range(len(writer))],
        told,
        dataset="north",
        system="writer",
        baselines=[name for name in told if name != "writer"],
        stated_only=stated_only,
        num_resamples=200,
        seed=0,
    )


RIGHT, WRONG = says(DEEP), says(None)


def test_the_best_rule_on_these_cases_is_taken() -> None:
    found = compared([RIGHT] * 4, [WRONG] * 4, [RIGHT, RIGHT, WRONG, WRONG], [RIGHT] + [WRONG] * 3)
    assert found is not None
    assert found.baseline == "rule 1"
    assert found.difference.value == 0.5
    assert (found.answers.only_first, found.answers.only_second) == (2, 0)


def test_the_p_value_is_the_exact_binomial_one_on_the_cases_that_differ() -> None:
    found = compared([RIGHT] * 9 + [WRONG], [WRONG] * 8 + [RIGHT] * 2)
    assert found is not None
    assert found.answers.p_value == pytest.approx(binomtest(1, 9, 0.5).pvalue)
    assert "the true label in 9 of 10" in str(found)
    assert "; better, beyond chance (" in str(found)


@pytest.mark.parametrize(
    ("writer", "rule", "verdict"),
    [
        ([RIGHT] * 12, [WRONG] * 9 + [RIGHT] * 3, "; better, beyond chance ("),
        ([RIGHT] * 12, [WRONG] + [RIGHT] * 11, "; better, within chance ("),
        ([RIGHT] * 12, [RIGHT] * 12, "does not beat the baseline; the two are equal ("),
        ([WRONG] + [RIGHT] * 11, [RIGHT] * 12, "not beat the baseline and is worse, within chance"),
        ([WRONG] * 9 + [RIGHT] * 3, [RIGHT] * 12, "is worse, beyond chance ("),
        # Five that differ are too few for McNemar's exact test, whichever way they fall.
        ([WRONG] * 5 + [RIGHT] * 7, [RIGHT] * 12, "beyond chance by the interval, not by McNemar"),
    ],
)
def test_the_sentence_says_whether_the_model_beats_the_rule(
    writer: list[ToldReport], rule: list[ToldReport], verdict: str
) -> None:
    assert verdict in str(compared(writer, rule))


def test_where_the_writer_abstains_the_rules_are_not_asked_either() -> None:
    found = compared([RIGHT, abstains()], [WRONG, RIGHT], stated_only=True)
    assert found is not None
    assert (found.num_cases, found.difference.value) == (1, 1.0)
    assert compared([abstains()], [RIGHT], stated_only=True) is None
