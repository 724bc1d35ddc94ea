"""Hits found in blocks equal hits found one query at a time."""

from __future__ import annotations

import numpy as np

from pirta.evaluation.neighbour_hits import find_hits


def test_many_queries_equal_each_query_alone_by_plain_sorting(make_cases) -> None:
    rng = np.random.default_rng(0)

    def drawn(count: int, name: str):
        rows = rng.normal(size=(count, 6)).astype(np.float32)
        truths = rng.integers(4, size=count).tolist()
        patients = [f"p{number}" for number in rng.integers(40, size=count)]
        return make_cases(truths, name=name, patients=patients, embeddings_QD=rows)

    queries, index = drawn(600, "q"), drawn(50, "i")
    hits = find_hits(queries, index, num_neighbours=10)
    for row in range(0, 600, 37):
        others = [
            number for number in range(50) if index.patient_ids[number] != queries.patient_ids[row]
        ]
        near = sorted(
            others, key=lambda n, r=row: -float(queries.embeddings_QD[r] @ index.embeddings_QD[n])
        )
        right = [bool(index.truths_Q[n] == queries.truths_Q[row]) for n in near]
        assert hits.relevant_QN[row].tolist() == right[:10]
        assert hits.num_relevant_Q[row] == sum(right)


def test_an_index_smaller_than_the_rank_gives_all_it_has(make_cases) -> None:
    hits = find_hits(make_cases([0, 1]), make_cases([1, 0], name="i"), num_neighbours=10)
    assert hits.relevant_QN.tolist() == [[True, False], [True, False]]
