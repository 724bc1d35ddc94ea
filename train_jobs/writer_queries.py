"""Held-out cases as questions to a writer: registry, neighbours, classifier, and the true answer.

Joins prepared stores and an encoder. The search is exact, and a case never meets its own patient.
Patients that the writer has learnt from can be left out. Nothing is asked here.

Axis suffixes: K the four labels in the order of `LABELS`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pirta.cohort.prepared_rows import PreparedCase
from pirta.contracts.finding import LABELS, Finding, Label, finding_sentence
from pirta.contracts.report import RetrievedCase
from pirta.errors import ManifestError
from pirta.evaluation.embedded_cases import EmbeddedCases
from pirta.evaluation.writer_reports import WriterCase
from pirta.reporting.consensus import without_side
from pirta.reporting.grounding import Sources
from train_jobs.held_out_evidence import exact_neighbours

CaseRows = Mapping[str, PreparedCase]


@dataclass(frozen=True)
class WriterQuery:
    """A case with what the service would know of it beside the neighbours.

    Attributes:
        probabilities_K: the classifier's.
    """

    case: WriterCase
    probabilities_K: NDArray[np.float32]
    num_quality_warnings: int

    @property
    def sources(self) -> Sources:
        """What its report may draw on."""
        case = self.case
        return Sources(case.registry, case.evidence, case.encoder_label)


def writer_queries(
    queries: EmbeddedCases, index: EmbeddedCases, rows: CaseRows, *, top_k: int
) -> list[WriterQuery]:
    """Return the queries with their neighbours; `rows` holds every case by its id."""
    found = []
    for number in range(len(queries)):
        known = rows[str(queries.case_ids[number])]
        probabilities_K = queries.probabilities_QK[number].astype(np.float32)
        case = WriterCase(
            case_id=known.case.case_id,
            patient_id=known.case.patient_id,
            dataset=str(queries.datasets[number]),
            site=known.case.site,
            registry=known.case.registry,
            truth=known.case.finding,
            evidence=exact_neighbours(
                queries.embeddings_QD[number], known.case.patient_id, index, rows, top_k
            ),
            encoder_label=LABELS[int(probabilities_K.argmax())],
        )
        warned = sum(gate.verdict == "warn" for gate in known.gates)
        found.append(WriterQuery(case, probabilities_K, warned))
    return found


def index_cases(index: EmbeddedCases, rows: CaseRows) -> list[tuple[str, RetrievedCase]]:
    """Return every index case with its patient, as evidence would name it; the similarity is 0."""
    found = []
    for case_id in index.case_ids.tolist():
        case = rows[case_id].case
        shown = RetrievedCase(
            case_id=case.case_id,
            site=case.site,
            similarity=0.0,
            label=case.label,
            finding=case.finding,
            findings_text=case.findings_text,
        )
        found.append((case.patient_id, shown))
    return found


def usual_findings(index: Sequence[tuple[str, RetrievedCase]]) -> dict[Label, Finding | None]:
    """Return each label's commonest finding of the index; of equal ones, the first seen.

    A label that the index lacks is not in it.
    """
    usual: dict[Label, Finding | None] = {}
    for label in LABELS:
        findings = [without_side(case.finding) for _, case in index if case.label is label]
        if findings:
            counts = Counter(finding_sentence(finding) for finding in findings)
            sentence = counts.most_common(1)[0][0]
            usual[label] = next(one for one in findings if finding_sentence(one) == sentence)
    return usual


def read_patients(path: Path | None) -> frozenset[str]:
    """Return the patients that a file names, one pseudonym a line; none without a file.

    Raises:
        ManifestError: it cannot be read, or names nobody.
    """
    if path is None:
        return frozenset()
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ManifestError(
            f"{path} cannot be read ({type(error).__name__}).",
            remedy="Name a text file of pseudonyms, one a line.",
        ) from None
    found = frozenset(line.strip() for line in lines if line.strip())
    if not found:
        raise ManifestError(
            f"{path} names no patient.", remedy="Put in one pseudonym a line, or leave it out."
        )
    return found
