"""The gates before a release may be staged: what each measures, and the limit that it must hold.

Each gate is a function from what was measured to a `GateResult`. A gate that could not be measured
has not passed. Nothing is read or stored here; see `verify_release`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from pirta.contracts.release import GateResult, IndexKind, Release
from pirta.pipelines.cohort_rows import phi_summary
from pirta.pipelines.row_audit import RowAudit

RECALL_TOP_K = 5


@dataclass(frozen=True)
class GateLimits:
    """What a release has to hold, and how it is measured.

    Attributes:
        min_recall: share of the truly nearest five that the index finds. FLAT is exact.
        golden_margin: precision@1 may be so much lower than the active release's.
        golden_minimum: precision@1 of the first release, which has none to compare with. Four
            labels by chance give a quarter.
        num_recall_queries, seed: of the sample that recall is measured on.
        num_writer_prompts: golden queries that the writer writes for.
    """

    min_recall_flat: float = 1.0
    min_recall_hnsw: float = 0.98
    golden_margin: float = 0.05
    golden_minimum: float = 0.5
    num_recall_queries: int = 50
    seed: int = 0
    num_writer_prompts: int = 4

    def with_golden(self, *, margin: float | None, minimum: float | None) -> GateLimits:
        """Return these limits with others for the golden queries; None keeps one as it is."""
        return replace(
            self,
            golden_margin=self.golden_margin if margin is None else margin,
            golden_minimum=self.golden_minimum if minimum is None else minimum,
        )

    def min_recall(self, kind: IndexKind) -> float:
        """Return the limit for an index of this kind."""
        return self.min_recall_flat if kind == "FLAT" else self.min_recall_hnsw


def part_gate(name: str, problems: Sequence[str]) -> GateResult:
    """Parts are what the record says: no problem may be found."""
    return GateResult(
        name=name,
        passed=not problems,
        value=len(problems),
        limit=0,
        unit="problems",
        detail=" ".join(problems),
    )


def rows_gate(audit: RowAudit, release: Release) -> GateResult:
    """The collection holds as many rows as the release was built from; live rows come on top."""
    return GateResult(
        name="rows",
        passed=audit.num_build == release.num_cases,
        value=audit.num_build,
        limit=release.num_cases,
        unit="rows",
        detail=f"exactly so many, and {audit.num_live} added live",
    )


def checksum_gate(audit: RowAudit, release: Release) -> GateResult:
    """The rows, read back, hash to what stands in the record."""
    same = audit.build_sha256 == release.index_sha256
    found = f"read back {audit.build_sha256[:12]}, the record says {release.index_sha256[:12]}"
    return GateResult(
        name="checksum",
        passed=same,
        value=0 if same else 1,
        limit=0,
        unit="hashes that differ",
        detail="" if same else found,
    )


def phi_gate(audit: RowAudit) -> GateResult:
    """No row seems to identify a person."""
    return GateResult(
        name="phi",
        passed=not audit.phi,
        value=len(audit.phi),
        limit=0,
        unit="rows",
        detail=phi_summary(audit.phi) if audit.phi else "",
    )


def recall_gate(
    recall: float, num_queries: int, release: Release, limits: GateLimits
) -> GateResult:
    """The index finds what comparing with every row finds."""
    limit = limits.min_recall(release.index_kind)
    return GateResult(
        name=f"recall@{RECALL_TOP_K}",
        passed=recall >= limit,
        value=recall,
        limit=limit,
        unit="share",
        detail=f"at least, over {num_queries} queries, {release.index_kind}",
    )


def golden_gate(
    precision: float, active_precision: float | None, num_queries: int, limits: GateLimits
) -> GateResult:
    """The nearest case is right about as often as in the release that is active."""
    if active_precision is None:
        limit = limits.golden_minimum
        against = "no active release to compare with"
    else:
        limit = max(0.0, active_precision - limits.golden_margin)
        against = f"the active release has {active_precision:.3f}"
    return GateResult(
        name="golden precision@1",
        # Shares of few queries: a limit that is met to the last bit is met.
        passed=precision >= limit - 1e-9,
        value=precision,
        limit=limit,
        unit="share",
        detail=f"at least, over {num_queries} held-out studies; {against}",
    )


def writer_gate(num_in_form: int, num_prompts: int) -> GateResult:
    """Every answer of the writer reads as a report."""
    return GateResult(
        name="writer smoke test",
        passed=num_prompts > 0 and num_in_form == num_prompts,
        value=num_in_form,
        limit=num_prompts,
        unit="answers in form",
        detail="all of them" if num_prompts else "no golden query found a case to write from",
    )


def not_measured(name: str, why: str) -> GateResult:
    """A gate that could not be measured."""
    return GateResult(name=name, passed=False, value=0, limit=0, detail=f"not measured: {why}")
