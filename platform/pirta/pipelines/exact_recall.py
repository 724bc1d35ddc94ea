"""How many of the truly nearest cases an index finds: recall against the exact oracle.

The oracle compares with every row, some thousand rows at a time, so that a collection need not
fit into this process twice. Cases that are equally near count for each other.

Axis suffixes: Q queries, D embedding dimensions.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from pirta.contracts.access import SearchPolicy
from pirta.contracts.encoding import SearchRequest
from pirta.contracts.release import Release
from pirta.contracts.report import RetrievedCase
from pirta.retrieval.exact import ExactIndex
from pirta.retrieval.index import Index, IndexRow

_ROWS_AT_ONCE = 4096


def recall_at(
    top_k: int,
    *,
    index: Index,
    release: Release,
    queries_QD: NDArray[np.float32],
    withdrawn: frozenset[str],
) -> float:
    """Return the share of each query's `top_k` nearest cases that the index finds, in [0, 1].

    Without a query or without a case that may be seen it is 1: there is nothing to miss.
    """
    policy = SearchPolicy(withdrawn=withdrawn)
    asked = [
        SearchRequest(release.release_id, release.collection, query_D, top_k, policy)
        for query_D in queries_QD
    ]
    truths = exact_answers(index.rows(release.collection), asked)
    shares = [
        _share(index.search(request), truth)
        for request, truth in zip(asked, truths, strict=True)
        if truth
    ]
    return float(np.mean(shares)) if shares else 1.0


def exact_answers(
    rows: Iterable[IndexRow], requests: list[SearchRequest]
) -> list[tuple[RetrievedCase, ...]]:
    """Return the oracle's answer to each request, over rows that come one after the other."""
    answers: list[tuple[RetrievedCase, ...]] = [() for _ in requests]
    for block in _blocks(rows):
        oracle = ExactIndex()
        for collection in {request.collection for request in requests}:
            oracle.create(collection, len(block[0].embedding_D))
            oracle.upsert(collection, block)
        for place, request in enumerate(requests):
            both = (*answers[place], *oracle.search(request))
            nearest = sorted(both, key=lambda case: (-case.similarity, case.case_id))
            answers[place] = tuple(nearest[: request.top_k])
    return answers


def _blocks(rows: Iterable[IndexRow]) -> Iterator[list[IndexRow]]:
    going = iter(rows)
    while block := list(islice(going, _ROWS_AT_ONCE)):
        yield block


def _share(found: tuple[RetrievedCase, ...], truth: tuple[RetrievedCase, ...]) -> float:
    farthest = truth[-1].similarity
    names = {case.case_id for case in truth}
    hits = sum(case.case_id in names or case.similarity >= farthest for case in found)
    return min(hits, len(truth)) / len(truth)
