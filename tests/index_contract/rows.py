"""Rows for the tests of an index, and short ways to ask one."""

from __future__ import annotations

import numpy as np

from pirta.contracts.access import SearchPolicy
from pirta.contracts.encoding import SearchRequest
from pirta.contracts.finding import (
    Finding,
    InfarctType,
    LesionClass,
    Territory,
    finding_sentence,
    label_of,
)
from pirta.retrieval.index import Index, IndexRow, patient_key

DIMENSIONS = 6
EVERYTHING = SearchPolicy()
STROKE = Finding(
    lesion_class=LesionClass.MILD,
    infarct_type=InfarctType.SMALL_LACUNE,
    territory=Territory.DEEP_GRAY,
    multifocal=True,
)


def unit(*values: float) -> np.ndarray:
    """Return a unit row that begins with these values."""
    row_D = np.zeros(DIMENSIONS, dtype=np.float32)
    row_D[: len(values)] = values
    return (row_D / np.linalg.norm(row_D)).astype(np.float32)


def make_row(
    case_id: str,
    embedding_D: np.ndarray,
    *,
    patient_id: str = "p",
    site: str = "site-ä",
    finding: Finding | None = None,
) -> IndexRow:
    """Return a row with something in every field."""
    return IndexRow(
        case_id=case_id,
        patient_key=patient_key(patient_id),
        site=site,
        scanner="vendor 3 T",
        label=label_of(finding),
        finding=finding,
        findings_text=finding_sentence(finding),
        report_text='Acute "lacune"\\ on DWI.\nÄ.',
        origin="build",
        release_id="rel-000000000000",
        added_on="2026-01-31",
        embedding_D=embedding_D,
    )


def ask(
    index: Index,
    collection: str,
    embedding_D: np.ndarray,
    policy: SearchPolicy = EVERYTHING,
    *,
    top_k: int = 5,
) -> list[tuple[str, float]]:
    """Return the ids and similarities of an answer."""
    request = SearchRequest("rel-000000000000", collection, embedding_D, top_k, policy)
    return [(case.case_id, case.similarity) for case in index.search(request)]


def names(
    index: Index,
    collection: str,
    embedding_D: np.ndarray,
    policy: SearchPolicy = EVERYTHING,
    *,
    top_k: int = 5,
) -> list[str]:
    """Return the ids of an answer."""
    return [name for name, _ in ask(index, collection, embedding_D, policy, top_k=top_k)]
