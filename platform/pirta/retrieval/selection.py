"""Which candidates become the answer of a search: the policy, the order, the patients.

The one place where this is decided, for every index: a store only proposes candidates. Their
cosines are computed here again in double precision, so that two stores give the same numbers and
the same order to the last bit, whatever their own arithmetic does.

Axis suffixes: N rows, D embedding dimensions.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pirta.contracts.access import SearchPolicy
from pirta.contracts.encoding import SearchRequest
from pirta.contracts.report import RetrievedCase
from pirta.errors import IndexRequestError, NoNeighboursError
from pirta.retrieval.index import IndexRow, check_embedding, patient_key

MOST_TOP_K = 1_000
_ROWS_AT_ONCE = 4_096  # bounds the double-precision copies


@dataclass(frozen=True)
class Candidate:
    """A row with its cosine to the query, in [-1, 1]."""

    row: IndexRow
    similarity: float


def check_request(request: SearchRequest, *, dimensions: int) -> None:
    """Raise IndexRequestError for a request that no index can answer."""
    check_embedding(request.embedding_D, dimensions=dimensions, whose="the request")
    if not 1 <= request.top_k <= MOST_TOP_K:
        raise IndexRequestError(
            f"top_k is {request.top_k}; it goes from 1 to {MOST_TOP_K}.",
            remedy="Set index.top_k within these bounds.",
        )
    if request.policy.min_patients > request.top_k:
        raise IndexRequestError(
            f"{request.policy.min_patients} distinct patients do not fit into an answer of "
            f"{request.top_k} cases.",
            remedy="Lower the release's calibration.min_patients, or raise index.top_k.",
        )


def cosines_N(rows_ND: NDArray[np.float32], query_D: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return each row's cosine to the query; the same for a row wherever it stands.

    A BLAS product would be quicker, but its sums depend on a row's place in the matrix.
    """
    query_D64 = query_D.astype(np.float64)
    query_length = np.sqrt((query_D64 * query_D64).sum())
    cosine_N = np.empty(len(rows_ND), dtype=np.float64)
    for start in range(0, len(rows_ND), _ROWS_AT_ONCE):
        part_ND = rows_ND[start : start + _ROWS_AT_ONCE].astype(np.float64)
        length_N = np.sqrt((part_ND * part_ND).sum(axis=1))
        product_N = (part_ND * query_D64).sum(axis=1)
        cosine_N[start : start + _ROWS_AT_ONCE] = product_N / (length_N * query_length)
    return np.clip(cosine_N, -1.0, 1.0)


def candidates_of(rows: Sequence[IndexRow], query_D: NDArray[np.float32]) -> list[Candidate]:
    """Return the rows with their cosines."""
    if not rows:
        return []
    cosine_N = cosines_N(np.stack([row.embedding_D for row in rows]), query_D)
    return [Candidate(row, float(cosine)) for row, cosine in zip(rows, cosine_N, strict=True)]


def may_see(row: IndexRow, policy: SearchPolicy) -> bool:
    """Return whether a policy lets a row be seen, its similarity apart."""
    return (
        (policy.sites is None or row.site in policy.sites)
        and all(row.patient_key != patient_key(one) for one in policy.exclude_patient_ids)
        and row.case_id not in policy.withdrawn
    )


def nearest(candidates: Iterable[Candidate], request: SearchRequest) -> list[Candidate]:
    """Return the answer, nearest first, equal similarities by case id.

    It holds `min_patients` distinct patients: where the nearest `top_k` do not, the nearest case
    of each of the nearest `min_patients` patients is in it, and the nearest others fill it up.
    With fewer patients than that among the candidates it is all that they allow.
    """
    policy = request.policy
    ranked = sorted(
        (
            one
            for one in candidates
            if one.similarity >= policy.min_similarity and may_see(one.row, policy)
        ),
        key=lambda one: (-one.similarity, one.row.case_id),
    )
    first_of_patient: dict[str, Candidate] = {}
    for one in ranked:
        first_of_patient.setdefault(one.row.patient_key, one)
    needed = list(first_of_patient.values())[: policy.min_patients]
    needed_ids = {one.row.case_id for one in needed}
    others = [one for one in ranked if one.row.case_id not in needed_ids]
    chosen_ids = needed_ids | {one.row.case_id for one in others[: request.top_k - len(needed)]}
    return [one for one in ranked if one.row.case_id in chosen_ids]


def num_patients(answer: Sequence[Candidate]) -> int:
    """Return how many distinct patients an answer holds."""
    return len({one.row.patient_key for one in answer})


def answer_of(answer: Sequence[Candidate], request: SearchRequest) -> tuple[RetrievedCase, ...]:
    """Return an answer in the form that leaves the room, checked against the whole policy.

    Raises:
        NoNeighboursError: it holds cases, but of fewer patients than the policy wants.
    """
    policy = request.policy
    found, wanted = num_patients(answer), policy.min_patients
    if answer and found < wanted:
        raise NoNeighboursError(
            f"The index holds similar cases of {found} patients that this request may see; "
            f"the release wants {wanted} at least.",
            remedy="Add verified cases, widen what the site may see, or lower the release's "
            "calibration.min_patients.",
        )
    assert len(answer) <= request.top_k, "no more than was asked for"
    assert all(may_see(one.row, policy) for one in answer), "the policy must hold"
    assert all(one.similarity >= policy.min_similarity for one in answer), "the cut-off must hold"
    return tuple(
        RetrievedCase(
            case_id=one.row.case_id,
            site=one.row.site,
            similarity=one.similarity,
            label=one.row.label,
            finding=one.row.finding,
            findings_text=one.row.findings_text,
        )
        for one in answer
    )
