"""A whole evaluation with an encoder whose answers are known."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

import numpy as np
import pytest
from numpy.typing import NDArray
from rich.console import Console

from pirta.contracts.finding import LABELS, Label
from pirta.errors import ManifestError
from pirta.evaluation.encoder_evaluation import EvaluationCase, evaluate_encoder
from pirta.evaluation.tables import render_markdown, render_rich


class _Corner:
    """Reads a volume's first voxel as its class, and puts each class on its own axis."""

    def embed(
        self, volume_BCXYZ: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        rows = np.eye(4, dtype=np.float32)[volume_BCXYZ[:, 0, 0, 0, 0].astype(int)]
        return rows, rows


def _cases(shown: Sequence[int], labels: Sequence[Label], name: str) -> list[EvaluationCase]:
    return [
        EvaluationCase(
            f"{name}-{number}",
            f"{name}-{number}",
            "site-x",
            label,
            partial(np.full, (2, 2, 2, 2), value, np.float32),
        )
        for number, (value, label) in enumerate(zip(shown, labels, strict=True))
    ]


def test_a_perfect_encoder_scores_one_everywhere() -> None:
    index = _cases([0, 1, 2, 3] * 2, LABELS * 2, "i")
    result = evaluate_encoder(
        _Corner(), index=index, queries=_cases([0, 1, 2, 3], LABELS, "q"), top_k=2
    )
    assert {interval.value for interval in result.figures.values()} == {1.0}
    assert (result.num_index, result.num_queries, result.sites) == (8, 4, ("site-x",))


def test_a_wrong_call_shows_in_neighbours_and_classes() -> None:
    index = _cases([0, 1, 2, 3], LABELS, "i")
    queries = _cases([0, 1, 2, 0], LABELS, "q")  # the posterior one looks normal
    figures = evaluate_encoder(_Corner(), index=index, queries=queries, top_k=1).figures
    assert figures["precision@1"].value == 0.75
    assert figures["balanced accuracy"].value == 0.75
    assert figures["posterior: sensitivity"].value == 0.0
    np.testing.assert_allclose(figures["any lesion: sensitivity"].value, 2 / 3)
    assert figures["any lesion: specificity"].value == 1.0


def test_a_query_never_meets_its_own_patient() -> None:
    cases = _cases([0, 1, 2, 3], LABELS, "same")
    figures = evaluate_encoder(_Corner(), index=cases, queries=cases, top_k=1).figures
    assert figures["precision@1"].value == 0.0
    assert math.isnan(figures["mAP@1"].value)


def test_one_class_only_leaves_the_others_undefined() -> None:
    index = _cases([0, 1, 2, 3], LABELS, "i")
    queries = _cases([0, 0], [Label.NORMAL] * 2, "q")
    figures = evaluate_encoder(_Corner(), index=index, queries=queries, top_k=1).figures
    assert figures["any lesion: specificity"].value == 1.0
    assert math.isnan(figures["any lesion: sensitivity"].value)


def test_empty_queries_are_refused() -> None:
    with pytest.raises(ManifestError, match="queries hold no case"):
        evaluate_encoder(_Corner(), index=_cases([0], [Label.NORMAL], "i"), queries=[])


def test_tables_name_the_normalisation_and_fit_the_terminal() -> None:
    index = _cases([0, 1, 2, 3], LABELS, "i")
    queries = _cases([0, 0], [Label.NORMAL] * 2, "q")
    result = evaluate_encoder(_Corner(), index=index, queries=queries, top_k=1)
    text = render_markdown(result)
    assert "min(n, relevant)" in text
    assert "| any lesion: sensitivity | not defined |" in text
    console = Console(width=80, record=True, file=None, quiet=False)
    with console.capture() as captured:
        console.print(render_rich(result))
    assert max(len(line) for line in captured.get().splitlines()) <= 80
