"""Which cases a release's index takes; the building itself starts Ray and is tested there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pirta.cohort.prepared_store import close_run, read_prepared
from pirta.errors import ManifestError
from pirta.pipelines.cohort_rows import cohort_cases


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
