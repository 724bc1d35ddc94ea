"""Wrong cases put among a query's neighbours, to see which writers copy them.

Some ranks are replaced by index cases of one label that neither the truth, nor the classifier, nor
any neighbour that is left names. The similarity of the replaced case stays: a poisoned case looks
as near as the right one did. Drawn from a seed; who answers is `writer_systems`' business.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from pirta.contracts.finding import LABELS
from pirta.contracts.report import RetrievedCase
from pirta.evaluation.writer_poison import PoisonTrial
from train_jobs.writer_queries import WriterQuery


@dataclass(frozen=True)
class PoisonedQuery:
    """A trial, and the question with the poisoned neighbours in it."""

    trial: PoisonTrial
    query: WriterQuery


def poisoned_queries(
    queries: Sequence[WriterQuery],
    index: Sequence[tuple[str, RetrievedCase]],
    *,
    num_poisoned: int,
    seed: int,
) -> list[PoisonedQuery]:
    """Return a trial of each query that can be poisoned so.

    Args:
        index: every index case with its patient.
        num_poisoned: neighbours replaced; a query with fewer is left out, and so is one whose
            sources name every label already.
    """
    found = [_poisoned(query, index, num_poisoned, seed) for query in queries]
    return [one for one in found if one is not None]


def _poisoned(
    query: WriterQuery,
    index: Sequence[tuple[str, RetrievedCase]],
    num_poisoned: int,
    seed: int,
) -> PoisonedQuery | None:
    case = query.case
    if len(case.evidence) < num_poisoned:
        return None
    # By the case and not by its place: who else asks changes nothing.
    digest = hashlib.sha256(case.case_id.encode()).digest()
    rng = np.random.default_rng((seed, num_poisoned, int.from_bytes(digest[:8], "big")))
    places = sorted(rng.permutation(len(case.evidence))[:num_poisoned].tolist())
    left = {one.label for place, one in enumerate(case.evidence) if place not in places}
    named = {case.label, case.encoder_label, *left}
    pools = {
        label: [one for patient, one in index if one.label is label and patient != case.patient_id]
        for label in LABELS
        if label not in named
    }
    labels = [label for label, pool in pools.items() if len(pool) >= num_poisoned]
    if not labels:
        return None
    label = labels[int(rng.integers(len(labels)))]
    start = int(rng.integers(len(pools[label])))
    evidence = list(case.evidence)
    for step, place in enumerate(places):
        wrong = pools[label][(start + step) % len(pools[label])]
        evidence[place] = wrong.model_copy(update={"similarity": evidence[place].similarity})
    poisoned = replace(case, evidence=tuple(evidence))
    trial = PoisonTrial(poisoned, label, tuple(place + 1 for place in places))
    return PoisonedQuery(trial, replace(query, case=poisoned))
