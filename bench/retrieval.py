"""One search in Milvus (milvus-lite, FLAT) against one matrix product in this process.

The baseline is the least that any exact search can cost: rows in memory, one product, the top
five. Milvus answers over gRPC with ids, findings and a filter, and outlives the process. The
recall is against the exact index, the oracle of the tests.

Axis suffixes: N rows, Q queries, D embedding dimensions.
"""

from __future__ import annotations

import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.result import Ratio, seconds_in_turns
from pirta.contracts.encoding import SearchRequest
from pirta.contracts.finding import NORMAL_SENTENCE, Label
from pirta.retrieval.exact import ExactIndex
from pirta.retrieval.index import IndexRow
from pirta.retrieval.lite_server import start_lite_server
from pirta.retrieval.milvus import MilvusIndex

DIMENSIONS = 768
TOP_K = 5
NUM_QUERIES = 30


def run() -> Iterator[Ratio]:
    """Measure at a thousand and at ten thousand cases."""
    with (
        tempfile.TemporaryDirectory() as folder,
        start_lite_server(Path(folder) / "milvus", _free_port()) as server,
    ):
        index = MilvusIndex(server.uri, timeout_s=60)
        for num_rows in (1_000, 10_000):
            yield _measure(index, num_rows)


def _measure(index: MilvusIndex, num_rows: int) -> Ratio:
    rng = np.random.default_rng(num_rows)
    rows_ND = _unit(rng.standard_normal((num_rows, DIMENSIONS)))
    near_QD = rows_ND[rng.choice(num_rows, NUM_QUERIES, replace=False)]
    queries_QD = _unit(near_QD + 0.03 * rng.standard_normal(near_QD.shape))
    rows = [
        IndexRow(f"case{at:06d}", f"patient{at:06d}", "bench", Label.NORMAL, None,
                 NORMAL_SENTENCE, rows_ND[at])
        for at in range(num_rows)
    ]  # fmt: skip
    name, oracle = f"bench_{num_rows}", ExactIndex()
    for one in (index, oracle):
        one.create(name, DIMENSIONS)
        one.upsert(name, rows)
    requests = [SearchRequest(name, query_D, TOP_K) for query_D in queries_QD]
    turn = iter(range(10**9))

    def ask_milvus() -> None:
        index.search(requests[next(turn) % NUM_QUERIES])

    def multiply() -> None:
        similarity_N = rows_ND @ queries_QD[next(turn) % NUM_QUERIES]
        best = np.argpartition(-similarity_N, TOP_K)[:TOP_K]
        best[np.argsort(-similarity_N[best])]

    milvus_s, numpy_s = seconds_in_turns(ask_milvus, multiply, repeats=100)
    found = [
        len({case.case_id for case in index.search(request)}
            & {case.case_id for case in oracle.search(request)}) / TOP_K
        for request in requests[:10]
    ]  # fmt: skip
    index.drop(name)
    return Ratio(
        f"One search, {num_rows:,} cases of {DIMENSIONS}, p50",
        "milvus-lite FLAT over gRPC", 1000 * milvus_s,
        "NumPy product in the process", 1000 * numpy_s, "ms", numpy_s / milvus_s,
        f"recall@{TOP_K} against the exact index {np.mean(found):.3f}",
    )  # fmt: skip


def _unit(rows_ND: NDArray[np.float64]) -> NDArray[np.float32]:
    unit_ND: NDArray[np.float32] = (
        rows_ND / np.linalg.norm(rows_ND, axis=1, keepdims=True)
    ).astype(np.float32)
    return unit_ND


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
