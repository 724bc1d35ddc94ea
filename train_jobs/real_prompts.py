"""Table-3 prompts from embedded cases: each query with the neighbours that the encoder finds.

On top of every retrieved prompt come, by a seeded draw, a poisoned one (one neighbour replaced by
a finding of another label) and one with fewer neighbours, so that the writer learns to weigh its
evidence and not to copy it. The search is exact and never finds the query's own patient. Whether
the encoder was tuned on a query is `out_of_fold`'s to prove.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from pirta.cohort.prepared_rows import PreparedCase
from pirta.contracts.finding import Finding, label_of
from pirta.errors import InputError, ManifestError
from pirta.evaluation.embedded_cases import EmbeddedCases
from train_jobs.held_out_evidence import exact_neighbours
from train_jobs.tuned_patients import patient_hash
from train_jobs.writer_corpus import WriterExample, with_fewer_neighbours

# One of two: nothing tells which of them was put there.
_FEWEST_TO_POISON = 3


@dataclass(frozen=True)
class PromptMix:
    """How many examples of each kind a query gives.

    Attributes:
        top_k: neighbours of a prompt; the paper's five.
        poisoned_share: of the queries that give a poisoned example as well.
        missing_share: of the queries that give an example with fewer neighbours as well.

    Raises:
        InputError: a share is not from 0 to 1, or there would be fewer than two neighbours.
    """

    top_k: int = 5
    poisoned_share: float = 0.5
    missing_share: float = 0.25
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("poisoned_share", "missing_share"):
            share = getattr(self, name)
            if not 0 <= share <= 1:
                raise InputError(f"The {name} is {share:g}.", remedy="Give a share from 0 to 1.")
        if self.top_k < 2:
            raise InputError(
                f"A prompt of {self.top_k} neighbours was asked for.", remedy="Ask for 2 or more."
            )


def real_examples(
    queries: EmbeddedCases,
    index: EmbeddedCases,
    rows: Mapping[str, PreparedCase],
    mix: PromptMix,
) -> list[WriterExample]:
    """Return the queries' prompts, those of a patient one after the other.

    Patients stand in the order of their hashes, which has nothing to do with what they have, so
    that a share cut off at the end holds whole patients drawn at random. What a query gives follows
    from the seed and its id alone.

    Args:
        rows: every case of queries and index, by its id.

    Raises:
        ManifestError: a query stands twice, or the index holds nobody but its patient.
    """
    twice = [case_id for case_id, count in Counter(queries.case_ids.tolist()).items() if count > 1]
    if twice:
        raise ManifestError(
            f"{len(twice)} cases stand twice among the queries, the first is {twice[0]}.",
            remedy="Name each store once, and make lesion sets with --no-normals.",
        )
    keys = [
        (patient_hash(str(patient)), str(case_id), row)
        for row, (patient, case_id) in enumerate(
            zip(queries.patient_ids, queries.case_ids, strict=True)
        )
    ]
    found: list[WriterExample] = []
    for _, _, row in sorted(keys):
        found += _examples_of(queries, row, index, rows, mix)
    return found


def _examples_of(
    queries: EmbeddedCases,
    row: int,
    index: EmbeddedCases,
    rows: Mapping[str, PreparedCase],
    mix: PromptMix,
) -> list[WriterExample]:
    case = rows[str(queries.case_ids[row])].case
    evidence = exact_neighbours(queries.embeddings_QD[row], case.patient_id, index, rows, mix.top_k)
    if not evidence:
        raise ManifestError(
            "The index holds no case of another patient than the query's.",
            remedy="Name an index of more patients.",
        )
    retrieved = WriterExample(
        registry=case.registry,
        neighbours=tuple(one.finding for one in evidence),
        truth=case.finding,
        patient=patient_hash(case.patient_id),
    )
    digest = hashlib.sha256(case.case_id.encode()).digest()
    rng = np.random.default_rng([mix.seed, int.from_bytes(digest[:8], "big")])
    # Both are drawn for every query, so that one share does not change the other's draws.
    poisoned, missing = rng.random(2) < (mix.poisoned_share, mix.missing_share)
    found = [retrieved]
    if poisoned and len(evidence) >= _FEWEST_TO_POISON:
        others = [
            rows[str(case_id)].case.finding
            for case_id, patient in zip(index.case_ids, index.patient_ids, strict=True)
            if patient != case.patient_id
        ]
        found += _poisoned(rng, retrieved, others)
    if missing and len(evidence) > 1:
        found.append(with_fewer_neighbours(rng, retrieved))
    return found


def _poisoned(
    rng: np.random.Generator, example: WriterExample, others: list[Finding | None]
) -> list[WriterExample]:
    """Return the prompt with one neighbour of a label that is not true, as patients have it.

    A label that no other neighbour names is taken where there is one: only then does the evidence
    say which neighbour is wrong. Without any case of another label there is no such prompt.
    """
    wrong = [one for one in others if label_of(one) is not label_of(example.truth)]
    named = {label_of(one) for one in example.neighbours}
    foreign = [one for one in wrong if label_of(one) not in named] or wrong
    if not foreign:
        return []
    rank = int(rng.integers(len(example.neighbours)))
    neighbours = list(example.neighbours)
    neighbours[rank] = foreign[int(rng.integers(len(foreign)))]
    return [replace(example, neighbours=tuple(neighbours), poisoned_rank=rank)]
