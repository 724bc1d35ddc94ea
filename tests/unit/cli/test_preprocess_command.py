"""What `pirta preprocess` says while it runs."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from pirta_cli.preprocess_command import progress_note


def _progress(**fields: Any) -> Any:
    """A `pirta.pipelines.preprocess.Progress`, without importing Ray for it."""
    start = {"num_done": 0, "num_refused": 0, "num_total": 9, "rate_per_s": 0.0}
    return SimpleNamespace(**{**start, "remaining_s": None, **fields})


def test_nothing_is_promised_before_the_first_study_is_done() -> None:
    assert progress_note(_progress()) == "0 refused"


@pytest.mark.parametrize(
    ("remaining_s", "text"),
    [(0.2, "0 s left"), (59.7, "1 min 00 s left"), (61, "1 min 01 s left"),
     (3600, "1 h 00 min left"), (90_061, "25 h 01 min left")],
)  # fmt: skip
def test_the_rest_is_told_as_a_person_would(remaining_s: float, text: str) -> None:
    note = progress_note(_progress(rate_per_s=0.5, remaining_s=remaining_s, num_refused=2))
    assert note == f"30 studies/min · {text} · 2 refused"
