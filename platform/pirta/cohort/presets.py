"""Named phantom cohorts: how many cases of which label on which scanner, in which split.

A plan is frozen and says everything that decides a cohort; `make` carries it out. The
internal cohorts (demo, training, tiny) and the external one have different scanners and seeds.
"""

from __future__ import annotations

from dataclasses import dataclass

from pirta.cohort.scanner import (
    Scanner,
    coarse_scanner,
    emergency_scanner,
    external_north,
    external_south,
    external_west,
    research_scanner,
    ward_scanner,
)
from pirta.contracts.finding import Label

Counts = tuple[tuple[Label, int], ...]


@dataclass(frozen=True)
class CaseBatch:
    """Cases of one scanner and split.

    Attributes:
        counts: how many cases of each label.
        jitter: vary the scanner from case to case.
        keep_territories: store the territory map of each case, so that training can insert
            fresh lesions.
    """

    scanner: Scanner
    split: str
    counts: Counts
    jitter: bool = True
    keep_territories: bool = True


@dataclass(frozen=True)
class CohortPlan:
    """A cohort to be made. The name starts each case's id; the seed decides every voxel."""

    name: str
    seed: int
    batches: tuple[CaseBatch, ...]

    @property
    def num_cases(self) -> int:
        """Cases in all batches."""
        return sum(count for batch in self.batches for _, count in batch.counts)


def each_label(count: int) -> Counts:
    """The same number of cases for each of the four labels."""
    return tuple((label, count) for label in Label)


def tiny() -> CohortPlan:
    """Two index cases a label on a coarse, stripped grid, and one held-out query: for tests."""
    return CohortPlan(
        name="tiny",
        seed=5,
        batches=(
            CaseBatch(coarse_scanner("site-a"), "index", each_label(1)),
            CaseBatch(coarse_scanner("site-b"), "index", each_label(1)),
            CaseBatch(coarse_scanner("site-b"), "query", ((Label.ANTERIOR, 1),)),
        ),
    )


def demo() -> CohortPlan:
    """Two sites, 40 index cases (10 a label) and 4 held-out queries; one site with skull.

    Skull stripping takes seconds a study, so most of the cases are the stripped site's.
    """
    return CohortPlan(
        name="demo",
        seed=11,
        batches=(
            CaseBatch(ward_scanner("site-a"), "index", each_label(3)),
            CaseBatch(research_scanner("site-b"), "index", each_label(7)),
            CaseBatch(
                research_scanner("site-b"),
                "query",
                ((Label.ANTERIOR, 1), (Label.DEEP_GRAY, 1), (Label.POSTERIOR, 1)),
            ),
            CaseBatch(ward_scanner("site-a"), "query", ((Label.NORMAL, 1),)),
        ),
    )


def training() -> CohortPlan:
    """Hosts for fresh lesions (320 normal brains) and 160 lesion cases; 15 % with skull."""
    return CohortPlan(
        name="train",
        seed=101,
        batches=(
            CaseBatch(ward_scanner("site-a"), "train", _hosts_and_lesions(42, 6)),
            CaseBatch(research_scanner("site-b"), "train", _hosts_and_lesions(118, 19)),
            CaseBatch(emergency_scanner("site-c"), "train", _hosts_and_lesions(118, 19)),
            CaseBatch(ward_scanner("site-a"), "val", _hosts_and_lesions(6, 1)),
            CaseBatch(research_scanner("site-b"), "val", _hosts_and_lesions(18, 4)),
            CaseBatch(emergency_scanner("site-c"), "val", _hosts_and_lesions(18, 4)),
        ),
    )


def external() -> CohortPlan:
    """Three other hospitals: 190 cases, 60 of them normal, scanners and seeds of their own.

    Each has its own mix: north is even, south mostly normal, west holds no normal at all (an
    encoder that learnt the scanner would be found out there). Territory maps are kept for
    tests that insert lesions of a chosen size.
    """
    return CohortPlan(
        name="ext",
        seed=9001,
        batches=(
            CaseBatch(external_north(), "test", each_label(8)),
            CaseBatch(external_south(), "test", _hosts_and_lesions(52, 12)),
            CaseBatch(
                external_west(),
                "test",
                ((Label.ANTERIOR, 14), (Label.DEEP_GRAY, 28), (Label.POSTERIOR, 28)),
            ),
        ),
    )


def _hosts_and_lesions(hosts: int, of_each_territory: int) -> Counts:
    return (
        (Label.NORMAL, hosts),
        (Label.ANTERIOR, of_each_territory),
        (Label.DEEP_GRAY, of_each_territory),
        (Label.POSTERIOR, of_each_territory),
    )
