"""The folder of a study of writers: tables, JSON and pictures, and what is not defined in them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import matplotlib.image
import pytest
from rich.console import Console

from pirta.errors import ManifestError, StoreError
from pirta.evaluation.writer_evaluation import (
    RiskCurve,
    WriterOptions,
    WriterStudy,
    study_writers,
)
from pirta.evaluation.writer_folder import write_writer_folder
from pirta.evaluation.writer_poison import PoisonTrial
from pirta.evaluation.writer_tables import render_rich, render_writers
from tests.unit.evaluation.writers import ANTERIOR, DEEP, POSTERIOR, ROLES, abstains, asked, says

FEW = WriterOptions(num_resamples=30)
PICTURES = {"text_and_image", "risk_coverage", "poisoned_copies", "poisoned_curve"}


@pytest.fixture(scope="module")
def study() -> WriterStudy:
    """Two hospitals; the product abstains once and is right else, the rules are wrong once."""
    truths = [ANTERIOR, DEEP, POSTERIOR, None] * 4
    cases = [
        asked(truth, number, dataset="north" if number < 8 else "south", site=f"site-{number % 2}")
        for number, truth in enumerate(truths)
    ]
    right = [says(truth, confidence=0.9) for truth in truths]
    product = [abstains(reasons=("low_similarity",)), *right[1:]]
    rule = [says(DEEP), *right[1:]]
    told = {"product": product, "always": right, "naive": right, "rule": rule, "other rule": right}
    trials = [
        PoisonTrial(case, DEEP.label, ranks)
        for ranks in ((1,), (1, 2))
        for case in cases
        if case.truth is not DEEP
    ]
    poisoned = {name: [says(one.case.truth) for one in trials] for name in ("product", "naive")}
    curves = [
        RiskCurve("north", (0.5, 1.0), (0.0, 0.1), 0.05, (0.9, 0.0)),
        RiskCurve("south", (1.0,), (0.0,), 0.0, None),
    ]
    origin: Mapping[str, object] = {
        "command": "pirta evaluate writer …",
        "top_k": 5,
        "num_left_out": 3,
        "limits_fitted_on": {"name": "val", "studies_sha256": "0", "seen_in": ["north"]},
    }
    return study_writers(
        cases,
        told,
        roles=ROLES,
        origin=origin,  # type: ignore[arg-type]
        curves=curves,
        poisoned=(trials, poisoned),
        options=FEW,
    )


def test_groups_are_all_cases_each_data_set_and_each_site_of_it(study: WriterStudy) -> None:
    found = [(group.kind, group.name, group.num_cases) for group in study.groups]
    assert found == [
        ("all", "all", 16),
        ("data", "north", 8),
        ("data", "south", 8),
        ("site", "site-0 (north)", 4),
        ("site", "site-0 (south)", 4),
        ("site", "site-1 (north)", 4),
        ("site", "site-1 (south)", 4),
    ]
    assert study.groups[1].outcomes["product"] == {"abstained": 1, "written": 7}
    assert study.groups[1].reasons["product"] == {"low_similarity": 1}


def test_each_data_set_is_compared_on_all_cases_and_on_those_stated(study: WriterStudy) -> None:
    found = [(one.dataset, one.system, one.num_cases) for one in study.comparisons]
    assert found == [
        ("north", "always", 8),
        ("north", "product", 7),
        ("south", "always", 8),
        ("south", "product", 8),
    ]


def test_the_page_says_how_what_and_against_what(study: WriterStudy) -> None:
    page = render_writers(study)
    for said in (
        "pirta evaluate writer",
        "16 queries (12 strokes, 16 patients)",
        "30 resamples",
        "fitted on val. They come from the store of north, where the product's figures may flatter",
        "3 cases of patients named as learnt from are left out",
        "the model does not beat the baseline; the two are equal",
        "| product | written 7, abstained 1 | low_similarity 1 |",
        "not stated",
        "states nothing",
    ):
        assert said in page
    assert "nan" not in page


def test_the_folder_holds_every_figure_and_no_report(study: WriterStudy, tmp_path: Path) -> None:
    write_writer_folder(tmp_path, study)
    content = json.loads((tmp_path / "evaluation.json").read_text())
    product = content["groups"][0]["systems"]["product"]
    assert product["coverage (states something)"]["value"] == pytest.approx(15 / 16)
    assert product["slot-F1: laterality"]["value"] is None
    assert content["comparisons"][0]["sentence"].startswith("north, all cases")
    assert (tmp_path / "evaluation.md").read_text() == render_writers(study)
    for name in PICTURES:
        assert matplotlib.image.imread(tmp_path / "figures" / f"{name}.png").std() > 0
    for path in tmp_path.glob("evaluation.*"):
        assert "Altered Mentality" not in path.read_text()


def test_the_terminal_shows_it_within_80_columns(study: WriterStudy) -> None:
    console = Console(width=80, record=True)
    console.print(render_rich(study))
    shown = console.export_text()
    assert "north" in shown
    assert max(len(line) for line in shown.splitlines()) <= 80


def test_without_poison_and_curves_their_pictures_are_left_out(tmp_path: Path) -> None:
    cases = [asked(DEEP, number) for number in range(3)]
    told = {name: [says(DEEP)] * 3 for name in ("product", "always", "naive", *ROLES.baselines)}
    write_writer_folder(tmp_path, study_writers(cases, told, roles=ROLES, origin={}, options=FEW))
    assert [path.name for path in (tmp_path / "figures").iterdir()] == ["text_and_image.png"]


def test_no_case_at_all_is_refused() -> None:
    with pytest.raises(ManifestError, match="no held-out case"):
        study_writers([], {}, roles=ROLES, origin={})


def test_a_folder_that_cannot_be_made_is_told(study: WriterStudy, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(StoreError, match="cannot be written"):
        write_writer_folder(tmp_path / "taken", study)
