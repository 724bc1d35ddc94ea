"""Which case a number stands for: the same study, damaged in the same way, on every machine.

Numbers that end in 7 are for whole preparations, every second that ends in 9 for the real studies
where they lie beside the checkout; all others go through the pairs of small seed and mutator in
turn, so that every pair gets an equal share.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from fuzz.corpus import Seed, prepared_seeds, small_seeds
from fuzz.study import Study

TWICE_SHARE = 0.25
"""Of the cases, damaged by two mutators."""


@dataclass(frozen=True)
class Case:
    """A damaged study, and what it was."""

    index: int
    seed: Seed
    mutator: str
    study: Study


@dataclass(frozen=True)
class Cases:
    """All cases of one run's seed."""

    seed: int
    small: Sequence[Seed] = field(default_factory=small_seeds)
    prepared: Sequence[Seed] = field(default_factory=prepared_seeds)
    real: Sequence[Seed] = ()

    def planned(self, index: int) -> tuple[Seed, str]:
        """Return a case's seed and mutator, as far as that finds a hold in the seed."""
        stream, place = self._stream(index)
        return stream[place % len(stream)]

    def __getitem__(self, index: int) -> Case:
        seed, name = self.planned(index)
        rng = np.random.default_rng([self.seed, index])
        name, study = _damaged(rng, seed, name)
        if name != "none" and rng.random() < TWICE_SHARE and study.parts:
            study = _damaged_again(rng, seed, study)
        return Case(index, seed, name, study)

    def _stream(self, index: int) -> tuple[list[tuple[Seed, str]], int]:
        if index % 10 == 7:
            return self._pairs_prepared, index // 10
        if index % 20 == 9 and self.real:
            return self._pairs_real, index // 20
        return self._pairs_small, index

    @cached_property
    def _pairs_small(self) -> list[tuple[Seed, str]]:
        return _pairs(self.small)

    @cached_property
    def _pairs_prepared(self) -> list[tuple[Seed, str]]:
        return _pairs(self.prepared)

    @cached_property
    def _pairs_real(self) -> list[tuple[Seed, str]]:
        return _pairs(self.real)


def _damaged(rng: np.random.Generator, seed: Seed, name: str) -> tuple[str, Study]:
    """Return the damaged study, and by which mutator: another where the first found no hold."""
    study = seed.mutators[name](rng, seed.study)
    while name != "none" and study.same_as(seed.study):
        name = str(rng.choice(sorted(seed.mutators)))
        study = seed.mutators[name](rng, seed.study)
    return name, study


def _damaged_again(rng: np.random.Generator, seed: Seed, study: Study) -> Study:
    """Return the study with a second damage on the first, where it still finds a hold."""
    second = seed.mutators[str(rng.choice(sorted(seed.mutators)))]
    try:
        study = second(rng, study)
    except Exception:  # noqa: BLE001 - made for sound files, and this one is none any more
        return study
    return replace(study, must_refuse=None)  # the second may undo what nobody could answer


def _pairs(seeds: Sequence[Seed]) -> list[tuple[Seed, str]]:
    """Return all pairs, in an order that mixes seeds and mutators."""
    pairs = [(seed, name) for seed in seeds for name in seed.mutators]
    order = np.random.default_rng(0).permutation(len(pairs))
    return [pairs[int(place)] for place in order]
