"""Rows are in their final form when a build ends, and before recall is measured."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pirta.contracts.encoding import SearchRequest
from pirta.contracts.report import RetrievedCase
from pirta.pipelines.build_release import fill_collection
from pirta.pipelines.release_gates import RECALL_TOP_K
from pirta.pipelines.verify_release import DEFAULT_LIMITS, Verification
from pirta.releases.store import ReleaseStore
from pirta.retrieval.exact import ExactIndex
from pirta.retrieval.index import IndexRow, rows_sha256
from pirta.settings import Settings
from tests.unit.pipelines.memory_index import row_of
from tests.unit.pipelines.release_examples import make_release, open_store

ROWS = [
    replace(row_of(f"case-{at}"), embedding_D=np.array([1, at, at * at, 1], np.float32))
    for at in range(8)
]
RELEASE = make_release("cases_a", num_cases=len(ROWS), index_sha256=rows_sha256(ROWS))


class GraphIndex(ExactIndex):
    """Compares growing rows one by one, and loses the nearest in the graph that sealed ones make.

    So does a graph whose parameters are too small; what was measured on growing rows does not
    show it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.growing: set[str] = set()

    def upsert(self, collection: str, rows: Sequence[IndexRow]) -> None:
        super().upsert(collection, rows)
        self.growing.add(collection)

    def seal(self, collection: str, *, timeout_s: float = 600.0) -> None:
        super().seal(collection, timeout_s=timeout_s)
        self.growing.discard(collection)

    def search(self, request: SearchRequest) -> tuple[RetrievedCase, ...]:
        if request.collection in self.growing:
            return super().search(request)
        return super().search(replace(request, top_k=request.top_k + 1))[1:]


@pytest.fixture
def releases(tmp_path: Path) -> Iterator[ReleaseStore]:
    store = open_store(tmp_path)
    yield store
    store.close()


def _ignore(_done: int, _total: int) -> None: ...


def test_a_build_leaves_no_growing_rows_whoever_wrote_them() -> None:
    index = GraphIndex()
    fill_collection(index, RELEASE, ROWS, on_progress=_ignore)
    assert index.growing == set()
    killed = GraphIndex()
    killed.create("cases_a", 4)
    killed.upsert("cases_a", ROWS)
    fill_collection(killed, RELEASE, ROWS, on_progress=_ignore)
    assert killed.growing == set()


def test_recall_is_measured_on_rows_in_their_final_form(releases: ReleaseStore) -> None:
    index = GraphIndex()
    fill_collection(index, RELEASE, ROWS, on_progress=_ignore)
    index.upsert("cases_a", [replace(row_of("case-live"), origin="live", release_id="rel-1")])
    gates = Verification(
        release=RELEASE,
        settings=Settings(),
        index=index,
        releases=releases,
        golden_cases=(),
        golden_store="",
        limits=DEFAULT_LIMITS,
        embeddings=None,
        num_workers=1,
    ).rows_and_recall()
    passed = {gate.name: gate.passed for gate in gates}
    assert passed == {"rows": True, "checksum": True, "phi": True, f"recall@{RECALL_TOP_K}": False}
