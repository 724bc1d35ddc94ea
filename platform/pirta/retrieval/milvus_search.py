"""From what Milvus proposes to an exact answer.

Milvus ranks in single precision, breaks ties as it likes, and knows no distinct patients. So it
is asked for a few candidates more than needed, and for more again until nothing that it did not
name could belong into the answer. Almost always the first question is enough.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pirta.contracts.encoding import SearchRequest
from pirta.retrieval.index import IndexRow
from pirta.retrieval.milvus_rows import policy_filter
from pirta.retrieval.selection import Candidate, candidates_of, nearest, num_patients

# Milvus takes no larger limit. More equal similarities than that at the end of an answer are
# ordered by Milvus, and one patient's rows beyond it hide other patients from `min_patients`.
MOST_CANDIDATES = 16_384
_SPARE_CANDIDATES = 3
_GROWTH = 4
_MOST_IDS_IN_FIRST_FILTER = 256
# Above the error of a single-precision cosine of some thousand dimensions.
_COSINE_ERROR = 1e-5


@dataclass(frozen=True)
class Proposal:
    """The nearest rows as Milvus has it, and the lowest cosine that it gave one (0 for none)."""

    rows: Sequence[IndexRow]
    lowest_cosine: float


def settle(request: SearchRequest, propose: Callable[[str, int], Proposal]) -> list[Candidate]:
    """Return the answer, asking `propose(filter, limit)` until it is certain.

    A large set of withdrawn cases enters the filter only where the first candidates, with these
    taken out, were too few. Whatever the filter holds, `nearest` applies the whole policy.
    """
    policy = request.policy
    if policy.sites is not None and not policy.sites:
        return []
    limit = request.top_k + _SPARE_CANDIDATES
    with_withdrawn = len(policy.withdrawn) <= _MOST_IDS_IN_FIRST_FILTER
    while True:
        expression = policy_filter(policy, with_withdrawn=with_withdrawn)
        proposal = propose(expression, limit)
        answer = nearest(candidates_of(proposal.rows, request.embedding_D), request)
        seen_above = proposal.lowest_cosine + _COSINE_ERROR
        if (
            len(proposal.rows) < limit
            or limit == MOST_CANDIDATES
            or seen_above < policy.min_similarity
            or _is_certain(answer, request, seen_above)
        ):
            return answer
        if with_withdrawn:
            limit = min(_GROWTH * limit, MOST_CANDIDATES)
        with_withdrawn = True


def _is_certain(answer: list[Candidate], request: SearchRequest, seen_above: float) -> bool:
    """Return whether no row with a cosine of at most `seen_above` could change the answer."""
    return (
        len(answer) == request.top_k
        and num_patients(answer) >= request.policy.min_patients
        and answer[-1].similarity > seen_above
    )
