"""Gates on numbers that are known: where a limit lies, and what is told."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from pirta.contracts.encoding import SearchRequest
from pirta.contracts.finding import Label
from pirta.contracts.report import RetrievedCase
from pirta.pipelines import exact_recall
from pirta.pipelines import release_gates as gates
from pirta.pipelines.exact_recall import recall_at
from pirta.pipelines.release_gates import GateLimits
from pirta.pipelines.row_audit import RowAudit, audit_rows
from pirta.retrieval.exact import ExactIndex
from pirta.retrieval.index import IndexRow, patient_key, rows_sha256
from tests.unit.pipelines.release_examples import make_release

LIMITS = GateLimits()
DIMENSIONS = 8


def _rows(count: int, *, seed: int = 0) -> list[IndexRow]:
    rng = np.random.default_rng(seed)
    vectors_ND = rng.standard_normal((count, DIMENSIONS)).astype(np.float32)
    vectors_ND /= np.linalg.norm(vectors_ND, axis=1, keepdims=True)
    return [
        IndexRow(
            case_id=f"case-{number:04d}",
            patient_key=patient_key(f"patient-{number}"),
            site="site-a",
            scanner="scanner-a",
            label=Label.NORMAL,
            finding=None,
            findings_text="There is no diffusion restriction.",
            report_text="No acute infarction.",
            origin="build",
            release_id="",
            added_on="2026-01-01",
            embedding_D=vector_D,
        )
        for number, vector_D in enumerate(vectors_ND)
    ]


class ForgetfulIndex(ExactIndex):
    """Loses the nearest case of every answer and gives one more from the end, as a graph may."""

    def search(self, request: SearchRequest) -> tuple[RetrievedCase, ...]:
        return super().search(replace(request, top_k=request.top_k + 1))[1:]


def test_an_audit_counts_and_hashes_what_was_built_and_only_counts_what_came_live() -> None:
    rows = _rows(6)
    live = replace(rows[5], origin="live", release_id="rel-1")
    audit = audit_rows([live, *rows[:5]], num_queries=4, seed=0)
    assert (audit.num_build, audit.num_live) == (5, 1)
    assert audit.build_sha256 == rows_sha256(rows[:5])
    assert audit.queries_QD.shape == (4, DIMENSIONS)
    np.testing.assert_allclose(np.linalg.norm(audit.queries_QD, axis=1), 1, atol=1e-6)


def test_a_sample_is_the_same_for_a_seed_and_reaches_every_row() -> None:
    rows = _rows(300)
    first, again = (audit_rows(rows, num_queries=20, seed=3).queries_QD for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, audit_rows(rows, num_queries=20, seed=4).queries_QD)
    vectors_ND = np.stack([row.embedding_D for row in rows])
    leaned_to = {
        int(np.argmax(vectors_ND @ query_D))
        for seed in range(10)
        for query_D in audit_rows(rows, num_queries=20, seed=seed).queries_QD
    }
    assert min(leaned_to) < 50
    assert max(leaned_to) > 250


def test_the_last_rows_are_looked_at_for_persons_too() -> None:
    rows = _rows(400)
    rows[399] = replace(rows[399], report_text="D/w Dr. Novak")
    rows[7] = replace(rows[7], case_id="12345678", report_text="seen 2024-03-12, MRN 0012345")
    audit = audit_rows(rows, num_queries=1, seed=0)
    gate = gates.phi_gate(audit)
    assert (gate.passed, gate.value, gate.limit) == (False, 2, 0)
    assert "report_text: name of a person (1)" in gate.detail
    assert "case-0399" in gate.detail
    assert not any(word in gate.detail for word in ("Novak", "2024", "12345678"))


def test_an_empty_collection_has_nothing_to_ask_with() -> None:
    audit = audit_rows([], num_queries=5, seed=0)
    assert (audit.num_build, len(audit.queries_QD)) == (0, 0)
    assert not gates.rows_gate(audit, make_release()).passed


def test_recall_is_one_for_an_exact_index_whatever_the_block_size(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(exact_recall, "_ROWS_AT_ONCE", 7)
    assert _recall(ExactIndex(), _rows(100)) == 1.0


def test_recall_sees_what_an_index_misses() -> None:
    assert _recall(ForgetfulIndex(), _rows(100)) == pytest.approx(0.8)


def test_equally_near_cases_count_for_each_other_and_few_cases_are_enough() -> None:
    same = [replace(row, embedding_D=_rows(1)[0].embedding_D) for row in _rows(12)]
    assert _recall(ForgetfulIndex(), same) == 1.0
    assert _recall(ExactIndex(), _rows(2)) == 1.0


def test_a_withdrawn_case_is_missed_by_nobody() -> None:
    rows = _rows(30)
    everyone = frozenset(row.case_id for row in rows)
    assert _recall(ExactIndex(), rows, withdrawn=everyone - {"case-0003"}) == 1.0
    assert _recall(ExactIndex(), rows, withdrawn=everyone) == 1.0


def _recall(
    index: ExactIndex, rows: list[IndexRow], *, withdrawn: frozenset[str] = frozenset()
) -> float:
    index.create("cases_a", DIMENSIONS)
    index.upsert("cases_a", rows)
    return recall_at(
        5,
        index=index,
        release=make_release("cases_a"),
        queries_QD=audit_rows(rows, num_queries=20, seed=0).queries_QD,
        withdrawn=withdrawn,
    )


@pytest.mark.parametrize(
    ("kind", "recall", "passed"),
    [("FLAT", 1.0, True), ("FLAT", 0.996, False), ("HNSW", 0.98, True), ("HNSW", 0.97, False)],
)
def test_exact_search_has_to_be_exact_and_a_graph_nearly(
    kind: str, recall: float, passed: bool
) -> None:
    gate = gates.recall_gate(recall, 50, make_release(index_kind=kind), LIMITS)
    assert (gate.name, gate.passed, gate.value) == ("recall@5", passed, recall)


@pytest.mark.parametrize(
    ("precision", "active", "passed"),
    [(0.9, 0.95, True), (0.89, 0.95, False), (0.97, 0.95, True), (0.02, 0.04, True),
     (0.5, None, True), (0.49, None, False)],
)  # fmt: skip
def test_golden_queries_are_held_against_the_active_release_or_a_minimum(
    precision: float, active: float | None, passed: bool
) -> None:
    assert gates.golden_gate(precision, active, 40, LIMITS).passed is passed


def test_rows_and_checksum_are_those_of_the_record() -> None:
    rows = _rows(5)
    release = make_release(num_cases=5, index_sha256=rows_sha256(rows))
    for found, as_many, the_same in _spoilt(rows):
        audit: RowAudit = audit_rows(found, num_queries=1, seed=0)
        assert gates.rows_gate(audit, release).passed is as_many
        assert gates.checksum_gate(audit, release).passed is the_same


def _spoilt(rows: list[IndexRow]) -> Iterator[tuple[list[IndexRow], bool, bool]]:
    yield rows[::-1], True, True
    yield rows[:4], False, False
    yield [*rows, replace(rows[0], case_id="one-more")], False, False
    yield [*rows, replace(rows[0], case_id="one-more", origin="live")], True, True
    yield [replace(rows[0], site="elsewhere"), *rows[1:]], True, False
    moved_D = rows[0].embedding_D + np.float32(1e-7)
    yield [replace(rows[0], embedding_D=moved_D), *rows[1:]], True, False


def test_a_writer_has_to_keep_to_the_form_every_time_and_to_be_asked_at_all() -> None:
    assert gates.writer_gate(4, 4).passed
    assert not gates.writer_gate(3, 4).passed
    assert not gates.writer_gate(0, 0).passed
