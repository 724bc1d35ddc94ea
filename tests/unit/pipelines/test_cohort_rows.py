"""Which cases a release's index takes; the building itself starts Ray and is tested there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pirta.cohort.prepared_store import close_run, read_prepared
from pirta.errors import ManifestError
from pirta.pipelines.cohort_rows import cohort_cases, index_rows, row_phi
from pirta.pipelines.embed import EmbeddedCases


def test_no_study_is_indexed_as_normal_that_nobody_called_so(
    synthetic_store: str, tmp_path: Path
) -> None:
    rows = read_prepared(synthetic_store)
    case = rows[0].case.model_copy(update={"finding": None, "report_text": ""})
    store = str(tmp_path / "store")
    close_run(store, [replace(rows[0], case=case), *rows[1:]], [])
    with pytest.raises(
        ManifestError, match=r"1 of 8 cases .* state neither a finding nor a report"
    ):
        cohort_cases(store, None)


def _embedded(synthetic_store: str, **changes: object) -> EmbeddedCases:
    first, second, *_ = read_prepared(synthetic_store)
    changed = replace(first, case=first.case.model_copy(update=changes))
    embeddings_ND = np.eye(2, 4, dtype=np.float32)
    return EmbeddedCases(
        (changed, second), embeddings_ND, np.full((2, 4), 0.25, np.float32), "e" * 64, "prep-1"
    )


def test_a_report_text_is_indexed_without_the_names_in_it(synthetic_store: str) -> None:
    text = "Acute infarct, left MCA. Discussed with Dr. Novak on 2024-03-12, MRN 00445566."
    first, second = index_rows(_embedded(synthetic_store, report_text=text), origin="build")
    assert "Acute infarct, left MCA." in first.report_text
    for secret in ("Novak", "2024", "00445566"):
        assert secret not in first.report_text
    assert second.report_text == read_prepared(synthetic_store)[1].case.report_text
    assert row_phi(first) == ()


@pytest.mark.parametrize(
    ("changes", "part"),
    [({"site": "Novak^Jan"}, "site: name of a person"), ({"case_id": "4455667"}, "case_id: rec")],
)
def test_an_id_that_is_no_pseudonym_is_refused_and_not_repeated(
    synthetic_store: str, changes: dict[str, object], part: str
) -> None:
    with pytest.raises(ManifestError, match=part) as caught:
        index_rows(_embedded(synthetic_store, **changes), origin="build")
    assert not any(str(value) in str(caught.value) for value in changes.values())
