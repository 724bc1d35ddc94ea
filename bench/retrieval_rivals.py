"""What an index is measured against: the same rows in this process, by NumPy and by faiss.

faiss and NumPy run on one thread here. They are told a vector and give back row numbers; they
know no filter, no text, no writer beside the reader, and end with their process.

Axis suffixes: N rows, D embedding dimensions.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Search = Callable[[NDArray[np.float32], int], list[int]]


def numpy_flat(rows_ND: NDArray[np.float32]) -> Search:
    """Return a search by one matrix product."""

    def search(query_D: NDArray[np.float32], top_k: int) -> list[int]:
        similarity_N = rows_ND @ query_D
        best = np.argpartition(-similarity_N, top_k)[:top_k]
        found: list[int] = best[np.argsort(-similarity_N[best])].tolist()
        return found

    return search


def faiss_flat(rows_ND: NDArray[np.float32]) -> Search:
    """Return faiss's exact search by inner product, the cosine of unit rows."""
    import faiss

    faiss.omp_set_num_threads(1)
    index = faiss.IndexFlatIP(rows_ND.shape[1])
    index.add(rows_ND)
    return _search_of(index)


def faiss_hnsw(rows_ND: NDArray[np.float32], *, m: int, ef_construction: int, ef: int) -> Search:
    """Return faiss's graph search with the parameters that Milvus gets."""
    import faiss

    faiss.omp_set_num_threads(1)
    index = faiss.IndexHNSWFlat(rows_ND.shape[1], m, faiss.METRIC_INNER_PRODUCT)
    index.hnsw.efConstruction = ef_construction
    index.hnsw.efSearch = ef
    index.add(rows_ND)
    return _search_of(index)


def _search_of(index: object) -> Search:
    def search(query_D: NDArray[np.float32], top_k: int) -> list[int]:
        _, found = index.search(query_D[None], top_k)  # type: ignore[attr-defined]
        rows: list[int] = found[0].tolist()
        return rows

    return search
