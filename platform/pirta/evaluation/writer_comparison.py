"""Does the model beat the rules? Paired tests on the same cases, and the answer in a sentence.

The best of the baselines is picked on the very cases that it is compared on, which flatters it.
Right labels are compared by McNemar's exact test and by the bootstrap of their difference over
patients. The sentence is made here, so that no author can put it more kindly.

Axis suffixes: Q cases.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from pirta.evaluation.intervals import Interval, Sampled, draw_weights, weighted_mean
from pirta.evaluation.paired_comparison import McNemar, mcnemar
from pirta.evaluation.writer_reports import ToldReport, WriterCase


@dataclass(frozen=True)
class SystemComparison:
    """One system against the best baseline on the same cases.

    Attributes:
        on: which cases these are, in words.
        difference: the system's share of right labels less the baseline's.
    """

    dataset: str
    system: str
    baseline: str
    on: str
    num_cases: int
    difference: Interval
    answers: McNemar

    def __str__(self) -> str:
        ours = self.answers.both + self.answers.only_first
        theirs = self.answers.both + self.answers.only_second
        return (
            f'{self.dataset}, {self.on}: "{self.system}" names the true label in {ours} of '
            f'{self.num_cases}, "{self.baseline}", the best baseline there, in {theirs}; '
            f"{self._verdict()} (difference {self._shown()}, McNemar exact p "
            f"{self.answers.p_value:.3f})."
        )

    def _verdict(self) -> str:
        if self.difference.value > 0:
            return f"better, {self._chance()}"
        if self.difference.value < 0:
            return f"the model does not beat the baseline and is worse, {self._chance()}"
        return "the model does not beat the baseline; the two are equal"

    def _chance(self) -> str:
        """Whether chance explains the difference; where the two tests differ, that is said."""
        by_test = self.answers.p_value < 0.05
        by_interval = self.difference.low > 0 or self.difference.high < 0
        if by_test == by_interval:
            return "beyond chance" if by_test else "within chance"
        return (
            "beyond chance by McNemar's test, not by the interval"
            if by_test
            else "beyond chance by the interval, not by McNemar's test"
        )

    def _shown(self) -> str:
        found = self.difference
        if np.isnan(found.low):
            return f"{found.value:+.3f}"
        return f"{found.value:+.3f} ({found.low:+.3f} to {found.high:+.3f})"


def compare_with_best(
    cases: Sequence[WriterCase],
    told: Mapping[str, Sequence[ToldReport]],
    *,
    dataset: str,
    system: str,
    baselines: Sequence[str],
    stated_only: bool,
    num_resamples: int,
    seed: int,
) -> SystemComparison | None:
    """Compare on all cases, or on those where the system states something; None without any."""
    rows = [row for row in range(len(cases)) if told[system][row].states or not stated_only]
    if not rows:
        return None
    right_Q = {
        name: np.array([told[name][row].is_right(cases[row]) for row in rows], bool)
        for name in (system, *baselines)
    }
    best = max(baselines, key=lambda name: right_Q[name].sum())  # the first of equal ones
    patient_ids = np.array([cases[row].patient_id for row in rows])
    weights_SQ = draw_weights(patient_ids, num_resamples=num_resamples, seed=seed)
    ours, theirs = (right_Q[name].astype(float) for name in (system, best))
    # A difference is no share: without spread it has no interval, where a mean of shares has one.
    difference = Sampled(weighted_mean(ours - theirs, weights_SQ)).interval()
    return SystemComparison(
        dataset=dataset,
        system=system,
        baseline=best,
        on="the cases where it states something" if stated_only else "all cases",
        num_cases=len(rows),
        difference=difference,
        answers=mcnemar(right_Q[system], right_Q[best]),
    )
