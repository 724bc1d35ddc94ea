"""A whole evaluation with an encoder whose answers are known."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from functools import partial

import numpy as np
import pytest
from numpy.typing import NDArray

from pirta.contracts.finding import LABELS, Label
from pirta.errors import IntensityError, ManifestError
from pirta.evaluation.embedded_cases import join_cases
from pirta.evaluation.encoder_evaluation import (
    EvaluationCase,
    EvaluationOptions,
    evaluate,
    evaluate_encoder,
)


class _Corner:
    """Reads a volume's first voxel as its class, and puts each class on its own axis."""

    def embed(
        self, volume_BCXYZ: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        rows = np.eye(4, dtype=np.float32)[volume_BCXYZ[:, 0, 0, 0, 0].astype(int)]
        return rows, rows


class _Nan(_Corner):
    def embed(
        self, volume_BCXYZ: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        rows, same = super().embed(volume_BCXYZ)
        return np.where(volume_BCXYZ[:, :1, 0, 0, 0] == 3, math.nan, rows), same


def _cases(shown: Sequence[int], labels: Sequence[Label], name: str) -> list[EvaluationCase]:
    return [
        EvaluationCase(
            f"{name}-{number}",
            f"{name}-{number}",
            "site-x",
            label,
            partial(np.full, (2, 2, 2, 2), value, np.float32),
            lesion_ml=None if label is Label.NORMAL else 2.0,
        )
        for number, (value, label) in enumerate(zip(shown, labels, strict=True))
    ]


INDEX = _cases([0, 1, 2, 3] * 12, LABELS * 12, "i")
FEW = EvaluationOptions(num_resamples=100)


def test_a_perfect_encoder_scores_one_everywhere() -> None:
    queries = _cases([0, 1, 2, 3], LABELS, "q")
    result = evaluate_encoder(_Corner(), index=INDEX, queries=queries, validation=INDEX)
    figures = {
        name: interval.value
        for name, interval in result.figures.items()
        if not name.startswith(("ECE", "Brier", "mAP"))
    }
    assert set(figures.values()) == {1.0}
    assert result.figures["mAP@10 / min(n, relevant)"].value == 1.0
    np.testing.assert_allclose(result.figures["mAP@1 / all relevant"].value, 1 / 12)
    assert result.figures["Brier score"].value == 0.0
    assert (result.num_index, result.num_queries) == (48, 4)
    assert result.names("site") == ("site-x",)


def test_a_wrong_call_shows_in_neighbours_and_classes() -> None:
    queries = _cases([0, 1, 2, 0], LABELS, "q")  # the posterior one looks normal
    figures = evaluate_encoder(_Corner(), index=INDEX, queries=queries, options=FEW).figures
    assert figures["precision@1"].value == 0.75
    assert figures["any-hit Acc@10"].value == 0.75
    assert figures["accuracy"].value == figures["balanced accuracy"].value == 0.75
    assert figures["posterior: sensitivity"].value == 0.0
    np.testing.assert_allclose(figures["any lesion: sensitivity"].value, 2 / 3)
    assert figures["any lesion: specificity"].value == 1.0
    np.testing.assert_allclose(figures["any lesion: AUROC"].value, (2 + 0.5) / 3)
    assert "any lesion at threshold: sensitivity" not in figures  # nothing to choose it on


def test_a_query_never_meets_its_own_patient() -> None:
    cases = _cases([0, 1, 2, 3], LABELS, "same")
    figures = evaluate_encoder(_Corner(), index=cases, queries=cases, options=FEW).figures
    assert figures["precision@1"].value == 0.0
    assert math.isnan(figures["mAP@1 / min(n, relevant)"].value)


def test_one_class_only_leaves_the_others_undefined() -> None:
    queries = _cases([0, 0], [Label.NORMAL] * 2, "q")
    figures = evaluate_encoder(_Corner(), index=INDEX, queries=queries, options=FEW).figures
    assert figures["any lesion: specificity"].value == 1.0
    for name in ("any lesion: sensitivity", "any lesion: AUROC", "posterior: sensitivity"):
        assert math.isnan(figures[name].value)


def test_a_validation_of_one_kind_fits_a_temperature_and_chooses_no_threshold() -> None:
    queries = _cases([0, 1, 2, 3], LABELS, "q")
    normals = _cases([0, 0], [Label.NORMAL] * 2, "v")
    result = evaluate_encoder(
        _Corner(), index=INDEX, queries=queries, validation=normals, options=FEW
    )
    assert result.operating_point is None
    assert result.temperature is not None
    assert "ECE, temperature scaled" in result.figures


def test_empty_queries_are_refused() -> None:
    with pytest.raises(ManifestError, match="'queries' hold no case"):
        evaluate_encoder(_Corner(), index=INDEX, queries=[])


def test_empty_columns_are_refused(make_cases) -> None:
    some = make_cases([0, 1])
    with pytest.raises(ManifestError, match="index hold no case"):
        evaluate(some.take(np.zeros(2, bool)), some)


def test_an_encoder_that_answers_nan_is_named_with_the_cases() -> None:
    with pytest.raises(IntensityError, match=r"1 case\(s\) of 'queries': q-3"):
        evaluate_encoder(_Nan(), index=INDEX[:1], queries=_cases([0, 1, 2, 3], LABELS, "q"))


def test_progress_counts_every_case_once() -> None:
    seen: list[tuple[int, int]] = []
    queries = _cases([0, 1, 2], LABELS[:3], "q")
    evaluate_encoder(
        _Corner(),
        index=INDEX[:9],
        queries=queries,
        validation=INDEX[:4],
        options=FEW,
        on_progress=lambda done, total: seen.append((done, total)),
    )
    assert seen == [(8, 16), (9, 16), (12, 16), (16, 16)]


def test_groups_by_data_site_scanner_and_size_hold_their_cases(make_cases) -> None:
    first = make_cases(
        [0, 1, 2, 3], name="in", sites=list("aabb"), scanners=list("xxxx"),
        lesion_ml=[0, 0.2, 3.0, math.nan],
    )  # fmt: skip
    second = make_cases([1, 1], name="out", sites=list("cc"), lesion_ml=[1.0, 30.0])
    index = make_cases([0, 1, 2, 3], name="i")
    groups = evaluate(index, join_cases([first, second]), options=FEW).groups
    counts = {(group.kind, group.name): group.num_cases for group in groups}
    assert counts == {
        ("all", "all"): 6, ("data", "in"): 4, ("data", "out"): 2,
        ("site", "a"): 2, ("site", "b"): 2, ("site", "c"): 2,
        ("scanner", "x"): 4, ("scanner", "scanner-x"): 2,
        ("lesion size", "below 0.5 ml"): 1, ("lesion size", "1-5 ml"): 2,
        ("lesion size", "20 ml or more"): 1, ("lesion size", "1 ml or more"): 3,
        ("lesion size", "volume not known"): 1,
    }  # fmt: skip


def test_a_site_without_normals_has_no_specificity_and_keeps_its_sensitivity(make_cases) -> None:
    queries = make_cases([0, 1, 2, 3], sites=list("abbb"))
    index = make_cases([0, 1, 2, 3], name="i")
    groups = evaluate(index, queries, validation=index, options=FEW).groups
    site = next(one for one in groups if (one.kind, one.name) == ("site", "b"))
    assert str(site.figures["any lesion at threshold: specificity"]) == "not defined"
    assert site.figures["any lesion at threshold: sensitivity"].value == 1.0


def test_the_threshold_is_the_validations_and_not_the_queries(make_cases) -> None:
    scores = np.array([0.1, 0.2, 0.3, 0.6, 0.7, 0.8])
    likely = np.stack([1 - scores, scores, 0 * scores, 0 * scores], axis=1)
    validation = make_cases([0] * 3 + [1] * 3, name="v", probabilities_QK=likely)
    queries = make_cases([0] * 3 + [1] * 3, probabilities_QK=likely[::-1])
    result = evaluate(validation, queries, validation=validation, options=FEW)
    assert result.operating_point is not None
    np.testing.assert_allclose(result.operating_point.threshold, 0.45)
    assert result.operating_point.chosen_on == ("v",)
    assert result.figures["any lesion at threshold: sensitivity"].value == 0.0
    assert result.figures["any lesion at threshold: specificity"].value == 0.0


def test_the_mean_of_the_classes_does_not_see_how_many_are_normal(make_cases) -> None:
    index = make_cases([0, 1, 2, 3], name="i")
    name, values = "precision@1, mean of classes", []
    for normals in (1, 30):
        queries = make_cases([0] * normals + [1, 2, 0], [0] * normals + [1, 2, 3])
        values.append(evaluate(index, queries, options=FEW).figures[name].value)
    assert values == [0.75, 0.75]


def test_each_data_set_has_its_curve_in_the_order_given(make_cases) -> None:
    north = make_cases([1, 1, 0], [1, 1, 1], name="north", lesion_ml=[2.0, 2.0, 2.0])
    early = make_cases([0, 0], name="early")
    index = make_cases([0, 1, 2, 3], name="i")
    result = evaluate(index, join_cases([north, early]), options=FEW)
    assert result.names("data") == ("north", "early")
    curves = {group.name: group.size_curve for group in result.groups if group.kind == "data"}
    assert curves["early"] == ()
    assert [(point.num_called, point.num_cases) for point in curves["north"]] == [(2, 3)]


def test_a_thousand_resamples_of_500_cases_stay_quick(make_cases) -> None:
    rng = np.random.default_rng(0)
    queries = make_cases(rng.integers(4, size=500).tolist(), rng.integers(4, size=500).tolist())
    started = time.process_time()
    evaluate(make_cases([0, 1, 2, 3], name="i"), queries, validation=queries)
    assert time.process_time() - started < 5
