"""Held-out cases as the service would see them: their neighbours, the classifier, the gates.

Joins embedded cases with the findings of their prepared stores. The search is exact, and a case
never meets its own patient. Judged is the neighbours' majority: it is what a report says that
holds against its sources, and needs no language model.

Axis suffixes: D embedding, R index rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pirta.cohort.prepared_rows import PreparedCase
from pirta.contracts.finding import LABELS, finding_sentence
from pirta.contracts.report import RetrievedCase
from pirta.evaluation.embedded_cases import EmbeddedCases
from pirta.reporting.abstention import read_signals
from pirta.reporting.abstention_fit import HeldOutCase
from pirta.reporting.consensus import consensus


@dataclass(frozen=True)
class HeldOutEvidence:
    """A set of held-out cases; `is_same_sentence` also asks for class and type."""

    cases: tuple[HeldOutCase, ...]
    is_same_sentence: tuple[bool, ...]


def held_out_evidence(
    queries: EmbeddedCases,
    index: EmbeddedCases,
    rows: Mapping[str, PreparedCase],
    *,
    top_k: int,
) -> HeldOutEvidence:
    """Return the queries with what the index says of them; `rows` holds every case by its id."""
    cases, same = [], []
    for row in range(len(queries)):
        known = rows[str(queries.case_ids[row])]
        evidence = exact_neighbours(
            queries.embeddings_QD[row], str(queries.patient_ids[row]), index, rows, top_k
        )
        votes = consensus(evidence)
        cases.append(
            HeldOutCase(
                patient_id=known.case.patient_id,
                signals=read_signals(
                    evidence,
                    queries.probabilities_QK[row].astype(np.float32),
                    num_quality_warnings=sum(gate.verdict == "warn" for gate in known.gates),
                ),
                is_right=votes.label is LABELS[int(queries.truths_Q[row])],
            )
        )
        same.append(finding_sentence(votes.finding) == known.case.findings_text)
    return HeldOutEvidence(tuple(cases), tuple(same))


def exact_neighbours(
    embedding_D: NDArray[np.float32],
    patient_id: str,
    index: EmbeddedCases,
    rows: Mapping[str, PreparedCase],
    top_k: int,
) -> tuple[RetrievedCase, ...]:
    """Return the nearest cases of an index, nearest first, none of them of this patient."""
    similarity_R = index.embeddings_QD.astype(np.float64) @ embedding_D.astype(np.float64)
    others_R = np.flatnonzero(index.patient_ids != patient_id)
    nearest = others_R[np.argsort(-similarity_R[others_R], kind="stable")][:top_k]
    found = []
    for row in nearest:
        case = rows[str(index.case_ids[row])].case
        found.append(
            RetrievedCase(
                case_id=case.case_id,
                site=case.site,
                similarity=float(np.clip(similarity_R[row], -1, 1)),
                label=case.label,
                finding=case.finding,
                findings_text=case.findings_text,
            )
        )
    return tuple(found)
