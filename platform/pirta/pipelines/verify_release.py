"""Measure a built release against every gate, and record what was measured.

All gates must hold. Where one cannot be measured because something before it is broken, it counts
as failed and says why; where a service does not answer, nothing is recorded and the release stays
as it was.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pirta.cohort.prepared_store import PreparedCase
from pirta.contracts.release import GateResult, Release
from pirta.errors import CheckpointError, FingerprintError, ReleaseError
from pirta.imaging.prepare import fingerprint
from pirta.models.checkpoint import verify_manifest
from pirta.pipelines import release_gates as gates
from pirta.pipelines.cohort_rows import cohort_cases
from pirta.pipelines.collection_memory import free_memory
from pirta.pipelines.exact_recall import recall_at
from pirta.pipelines.golden_queries import GoldenAnswer, ask_golden, precision_at_1
from pirta.pipelines.release_gates import RECALL_TOP_K, GateLimits
from pirta.pipelines.row_audit import audit_rows
from pirta.pipelines.writer_smoke import count_in_form
from pirta.releases.states import VERIFY
from pirta.releases.store import ReleaseStore
from pirta.reporting.prompt import build_prompt, prompt_sha256
from pirta.retrieval.index import Index
from pirta.settings import Settings

DEFAULT_LIMITS = GateLimits()

OnStep = Callable[[int, int, str], None]
"""Called as `on_step(steps done, steps, what is measured)`."""


def verify_release(
    release_id: str,
    *,
    settings: Settings,
    index: Index,
    releases: ReleaseStore,
    golden_store: str,
    actor: str,
    golden_split: str | None = "query",
    limits: GateLimits = DEFAULT_LIMITS,
    embeddings: str | None = None,
    num_workers: int = 1,
    on_step: OnStep | None = None,
) -> tuple[GateResult, ...]:
    """Measure all gates, record them, and return them; the release is `verified` or `rejected`.

    Args:
        golden_store, golden_split: a prepared store's held-out studies with known answers.
        embeddings: folder where their embeddings are kept; below their store where None.

    Raises:
        UnknownReleaseError, ReleaseStateError: there is no such release, or it is staged already.
        ManifestError: the golden store holds no case of the split.
        FingerprintError: the golden store was prepared otherwise than the release wants.
        UnavailableError: the index or the store of releases does not answer.
    """
    stored = releases.get(release_id)
    VERIFY.is_due(release_id, stored.state)
    verification = Verification(
        release=stored.release,
        settings=settings,
        index=index,
        releases=releases,
        golden_cases=tuple(cohort_cases(golden_store, golden_split)),
        golden_store=golden_store,
        limits=limits,
        embeddings=embeddings,
        num_workers=num_workers,
    )
    results = verification.run(on_step or (lambda _done, _total, _what: None))
    releases.record_gates(release_id, results, actor=actor)
    if index.exists(stored.release.collection):
        free_memory(collection=stored.release.collection, index=index, releases=releases)
    return results


@dataclass(frozen=True)
class Verification:
    """One release under measurement, and what it is measured with."""

    release: Release
    settings: Settings
    index: Index
    releases: ReleaseStore
    golden_cases: tuple[PreparedCase, ...]
    golden_store: str
    limits: GateLimits
    embeddings: str | None
    num_workers: int

    def run(self, on_step: OnStep) -> tuple[GateResult, ...]:
        """Measure every gate."""
        on_step(0, 4, "weights, prompt and preprocessing")
        parts = (self._weights(), self._prompt(), self._preprocessing())
        on_step(1, 4, "rows")
        rows = self.rows_and_recall()
        on_step(2, 4, "golden queries")
        golden, answers = self._golden(parts[0])
        on_step(3, 4, "writer")
        writer = self._writer(parts[0], answers)
        on_step(4, 4, "done")
        return (*parts, *rows, golden, writer)

    def _weights(self) -> GateResult:
        release = self.release
        problems = []
        for kind, folder, expected in (
            ("encoder", release.encoder_path, release.encoder_sha256),
            ("writer_base", release.writer_base_path, release.writer_base_sha256),
            ("writer_adapter", release.writer_adapter_path, release.writer_adapter_sha256),
        ):
            try:
                found = verify_manifest(Path(folder), kind=kind).sha256
            except CheckpointError as error:
                problems.append(error.message)
                continue
            if found != expected:
                problems.append(
                    f"The {kind} in {folder} is {found[:12]}, the record says {expected[:12]}."
                )
        return gates.part_gate("weights", problems)

    def _prompt(self) -> GateResult:
        own, found = self.release.prompt_sha256, prompt_sha256()
        other = f"The release's prompt is {own[:12]}, this code holds {found[:12]}."
        return gates.part_gate("prompt", [] if own == found else [other])

    def _preprocessing(self) -> GateResult:
        own = self.release.preprocessing_fingerprint
        found = fingerprint(self.settings.preprocessing)
        other = f"The release was made with {own}, the settings prepare studies as {found}."
        return gates.part_gate("preprocessing", [] if own == found else [other])

    def rows_and_recall(self) -> tuple[GateResult, ...]:
        """Measure what lies in the collection, and what of it is found."""
        release, limits = self.release, self.limits
        names = ("rows", "checksum", "phi", f"recall@{RECALL_TOP_K}")
        if not self.index.exists(release.collection):
            why = f"the index holds no collection {release.collection}"
            return tuple(gates.not_measured(name, why) for name in names)
        self.index.load(release.collection)
        # Cases that were added live lie in growing segments, where another search runs than later.
        self.index.seal(release.collection)
        audit = audit_rows(
            self.index.rows(release.collection),
            num_queries=limits.num_recall_queries,
            seed=limits.seed,
        )
        recall = recall_at(
            RECALL_TOP_K,
            index=self.index,
            release=release,
            queries_QD=audit.queries_QD,
            withdrawn=self.releases.withdrawn(),
        )
        return (
            gates.rows_gate(audit, release),
            gates.checksum_gate(audit, release),
            gates.phi_gate(audit),
            gates.recall_gate(recall, len(audit.queries_QD), release, limits),
        )

    def _golden(self, weights: GateResult) -> tuple[GateResult, list[GoldenAnswer]]:
        name = "golden precision@1"
        if not weights.passed:
            return gates.not_measured(name, "the weights are not the release's"), []
        if not self.index.exists(self.release.collection):
            return gates.not_measured(name, "there is no collection to ask"), []
        answers = self._ask(self.release)
        try:
            to_hold = self._active_precision()
        except (CheckpointError, ReleaseError) as error:
            why = f"the active release cannot be asked. {error}"
            return gates.not_measured(name, why), answers
        return gates.golden_gate(
            precision_at_1(answers), to_hold, len(answers), self.limits
        ), answers

    def _active_precision(self) -> float | None:
        """Return the active release's figure on the same studies, None where there is none.

        One that was made with another preprocessing cannot be asked with these studies.

        Raises:
            CheckpointError, ReleaseError: its encoder's folder cannot be used or holds another
                one, or its collection is gone: without its figure nothing can be held against it.
        """
        active = self.releases.active()
        if active is None or active.release_id == self.release.release_id:
            return None
        release = self.releases.get(active.release_id).release
        try:
            return precision_at_1(self._ask(release))
        except FingerprintError:
            return None

    def _ask(self, release: Release) -> list[GoldenAnswer]:
        return ask_golden(
            release,
            self.golden_cases,
            store=self.golden_store,
            embeddings=self.embeddings,
            settings=self.settings,
            index=self.index,
            withdrawn=self.releases.withdrawn(),
            num_workers=self.num_workers,
        )

    def _writer(self, weights: GateResult, answers: list[GoldenAnswer]) -> GateResult:
        name = "writer smoke test"
        if not weights.passed:
            return gates.not_measured(name, "the weights are not the release's")
        prompts = [
            build_prompt(one.query.case.registry, one.evidence) for one in answers if one.evidence
        ][: self.limits.num_writer_prompts]
        try:
            return gates.writer_gate(count_in_form(self.release, prompts), len(prompts))
        except CheckpointError as error:
            return gates.not_measured(name, error.message)
