"""One search in Milvus against the same search in this process: recall, p50 and p99, writing.

A thousand and 40,000 cases (the paper's size) of 768 dimensions; milvus-lite, which is made for
small ones, up to ten thousand. Milvus answers over gRPC with rows, a filter on the patient and
the sites, and vectors, from which the cosines are computed again. The rivals (`retrieval_rivals`)
give row numbers. All take turns on the same queries; the recall is against NumPy's exact top five.

A real Milvus is measured where its wheel is installed (`standalone_milvus`).

Axis suffixes: Q queries, N rows, D embedding dimensions.
"""

from __future__ import annotations

import itertools
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from bench.embeddings import DIMENSIONS, Embeddings, index_rows, make_embeddings
from bench.result import Ratio, all_seconds_in_turns
from bench.retrieval_rivals import Search, faiss_flat, faiss_hnsw, numpy_flat
from bench.standalone_milvus import StandaloneMilvus, is_installed
from pirta.contracts.access import SearchPolicy
from pirta.contracts.encoding import SearchRequest
from pirta.contracts.release import IndexKind
from pirta.retrieval.lite_server import start_lite_server
from pirta.retrieval.milvus import MilvusIndex
from pirta.retrieval.milvus_rows import HnswParameters

TOP_K = 5
NUM_QUERIES = 200
REPEATS = 300
HNSW = HnswParameters()
POLICY = SearchPolicy(
    sites=frozenset(f"site{at}" for at in range(5)),
    exclude_patient_ids=frozenset({"somebody else"}),
)


def run() -> Iterator[Ratio]:
    """Measure milvus-lite, then Milvus where it is installed."""
    with tempfile.TemporaryDirectory() as folder:
        with start_lite_server(Path(folder) / "lite", _free_port()) as lite:
            index = MilvusIndex(lite.uri, timeout_s=120)
            for num_rows in (1_000, 10_000):
                yield from measure(index, "milvus-lite", num_rows, kinds=("FLAT",))
        if not is_installed():
            return
        with StandaloneMilvus(Path(folder) / "milvus") as server:
            index = MilvusIndex(server.uri, timeout_s=120, hnsw=HNSW)
            for num_rows in (1_000, 40_000):
                yield from measure(index, "Milvus", num_rows)
            yield _until_visible(index, MilvusIndex(server.uri, timeout_s=120))


def measure(
    index: MilvusIndex,
    server: str,
    num_rows: int,
    *,
    kinds: tuple[IndexKind, ...] = ("FLAT", "HNSW"),
    repeats: int = REPEATS,
) -> Iterator[Ratio]:
    """Fill a collection of each kind, search it beside its rivals, and drop it."""
    made = make_embeddings(num_rows, NUM_QUERIES)
    exact = numpy_flat(made.rows_ND)
    truth = [exact(query_D, TOP_K) for query_D in made.queries_QD]
    for kind in kinds:
        collection = f"bench_{kind}_{num_rows}"
        yield _fill(index, server, collection, kind, made)
        ours = _search_of(index, collection)
        rivals: dict[str, Search] = {"faiss flat": faiss_flat(made.rows_ND)}
        if kind == "FLAT":
            rivals["NumPy"] = exact
        else:
            rivals["faiss HNSW"] = faiss_hnsw(
                made.rows_ND, m=HNSW.m, ef_construction=HNSW.ef_construction, ef=HNSW.ef
            )
        recalls = {
            name: _recall(search, made, truth) for name, search in {server: ours, **rivals}.items()
        }
        calls = [_in_turn(search, made) for search in (ours, *rivals.values())]
        our_s, *rival_s = all_seconds_in_turns(*calls, repeats=repeats)
        note = f"recall@{TOP_K} " + ", ".join(f"{name} {one:.4f}" for name, one in recalls.items())
        for (name, their_s), percentile in itertools.product(
            zip(rivals, rival_s, strict=True), (50, 99)
        ):
            yield _ratio(f"{num_rows:,} cases, p{percentile}", f"{server} {kind}", name,
                         np.percentile(our_s, percentile), np.percentile(their_s, percentile),
                         note)  # fmt: skip
        index.drop(collection)


def _ratio(
    question: str, ours_name: str, baseline_name: str, ours_s: float, baseline_s: float, note: str
) -> Ratio:
    return Ratio(
        f"One search of {question}", ours_name, 1000 * float(ours_s),
        f"{baseline_name}, one thread", 1000 * float(baseline_s), "ms",
        float(baseline_s / ours_s), note,
    )  # fmt: skip


def _fill(
    index: MilvusIndex, server: str, collection: str, kind: IndexKind, made: Embeddings
) -> Ratio:
    index.create(collection, DIMENSIONS, kind=kind)
    pieces = list(index_rows(made.rows_ND)) if len(made.rows_ND) <= 100_000 else None
    started = time.perf_counter()
    for rows in pieces or index_rows(made.rows_ND):
        index.upsert(collection, rows)
    upsert_s = time.perf_counter() - started
    started = time.perf_counter()
    index.seal(collection, timeout_s=3600)
    seal_s = time.perf_counter() - started
    num_rows = len(made.rows_ND)
    return Ratio(
        f"Writing {num_rows:,} cases, {kind}", f"{server}, upserted", num_rows / upsert_s,
        "until sealed and indexed", num_rows / (upsert_s + seal_s), "cases/s",
        1 + seal_s / upsert_s,
        f"upserts {upsert_s:.1f} s, sealing {seal_s:.1f} s",
    )  # fmt: skip


def _until_visible(writer: MilvusIndex, reader: MilvusIndex) -> Ratio:
    """Upsert single cases; another connection searches for each at once, on FLAT."""
    collection, repeats = "bench_visible", 30
    made = make_embeddings(repeats, 1)
    writer.create(collection, DIMENSIONS)
    upsert_s, search_s, missed = [], [], 0
    for (row,) in index_rows(made.rows_ND, at_once=1):
        started = time.perf_counter()
        writer.upsert(collection, [row])
        written = time.perf_counter()
        answer = reader.search(
            SearchRequest("bench", collection, row.embedding_D, 1, SearchPolicy())
        )
        search_s.append(time.perf_counter() - written)
        upsert_s.append(written - started)
        missed += answer[0].case_id != row.case_id
    writer.drop(collection)
    return Ratio(
        "From an upsert to its case in another's answer, p50", "upsert and next search",
        1000 * float(np.median(np.add(upsert_s, search_s))),
        "that search alone", 1000 * float(np.median(search_s)), "ms",
        float(np.median(search_s) / np.median(np.add(upsert_s, search_s))),
        f"{missed} of {repeats} were not seen by the next search",
    )  # fmt: skip


def _search_of(index: MilvusIndex, collection: str) -> Search:
    def search(query_D: np.ndarray, top_k: int) -> list[int]:
        answer = index.search(SearchRequest("bench", collection, query_D, top_k, POLICY))
        return [int(case.case_id.removeprefix("case")) for case in answer]

    return search


def _recall(search: Search, made: Embeddings, truth: list[list[int]]) -> float:
    found = [
        len(set(search(query_D, TOP_K)) & set(best))
        for query_D, best in zip(made.queries_QD, truth, strict=True)
    ]
    return float(np.mean(found)) / TOP_K


def _in_turn(search: Search, made: Embeddings) -> Callable[[], list[int]]:
    queries = itertools.cycle(made.queries_QD)
    return lambda: search(next(queries), TOP_K)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
