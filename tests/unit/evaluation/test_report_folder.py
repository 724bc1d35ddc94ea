"""The folder of a study: tables, JSON and pictures, and what they say where nothing is defined.

The projection is given by hand: UMAP itself is tested in tests/ray, as it compiles for seconds.
"""

from __future__ import annotations

import json
import math
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest
from rich.console import Console

from pirta.errors import StoreError
from pirta.evaluation.embedded_cases import join_cases
from pirta.evaluation.encoder_evaluation import EvaluationOptions, evaluate
from pirta.evaluation.encoder_study import EncoderCases, EncoderStudy, study_encoder
from pirta.evaluation.projection import Projection
from pirta.evaluation.report_folder import make_folder, to_json, write_folder
from pirta.evaluation.site_probe import probe_sites
from pirta.evaluation.tables import render_markdown, render_rich

FEW = EvaluationOptions(num_resamples=50)


@pytest.fixture(scope="module")
def study(make_cases) -> EncoderStudy:
    rng = np.random.default_rng(0)
    parts = [
        make_cases(
            np.where(rng.random(40) < 0.9, truths, rng.integers(4, size=40)).tolist(),
            truths.tolist(),
            name=name,
            sites=[name] * 40,
            lesion_ml=np.where(truths == 0, 0.0, rng.lognormal(1, 1.5, 40)).tolist(),
        )
        for name in ("north", "south")
        for truths in [rng.integers(4, size=40)]
    ]
    queries, index = join_cases(parts), make_cases([0, 1, 2, 3] * 5, name="i")
    validation = make_cases([0, 1, 2, 3, 0], [0, 1, 2, 3, 1], name="val")
    evaluation = evaluate(index, queries, validation=validation, options=FEW)
    return EncoderStudy(
        origin={"commit": "abc", "command": "pirta evaluate encoder --out o"},
        queries=queries,
        evaluation=evaluation,
        probes=tuple(
            probe_sites(queries, among=among, num_permutations=3)
            for among in ("normals", "strokes")
        ),
        projection=Projection("by hand", rng.normal(size=(80, 2)), 0.5, 0.25, math.nan),
    )


@pytest.fixture(scope="module")
def folder(study: EncoderStudy, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("evaluation")
    write_folder(out, study)
    return out


def test_the_folder_holds_tables_json_and_readable_pictures(
    study: EncoderStudy, folder: Path
) -> None:
    names = {path.stem for path in (folder / "figures").iterdir()}
    assert names == {
        "confusion", "roc", "reliability", "sensitivity_by_size", "precision_by_data",
        "projection_by_label", "projection_by_site",
    }  # fmt: skip
    for path in (folder / "figures").iterdir():
        image = matplotlib.image.imread(path)[..., :3]
        assert image.shape[0] > 400
        assert image.std() > 0.02, f"{path.stem} is empty"
    content = json.loads((folder / "evaluation.json").read_text())
    figures = content["evaluation"]["groups"][0]["figures"]
    assert figures["precision@1"]["value"] == study.evaluation.figures["precision@1"].value
    for kind in ("all relevant", "min(n, relevant)", "relevant retrieved"):
        assert f"mAP@5 / {kind}" in figures
    assert content["projection"]["label_silhouette"] is None  # NaN is no JSON
    assert content["origin"]["commit"] == "abc"
    assert content["evaluation"]["options"]["seed"] == 0
    assert (folder / "evaluation.md").read_text() == render_markdown(study)


def test_the_same_study_makes_the_same_bytes(
    study: EncoderStudy, folder: Path, tmp_path: Path
) -> None:
    write_folder(tmp_path, study)
    for path in folder.rglob("*.*"):
        assert path.read_bytes() == (tmp_path / path.relative_to(folder)).read_bytes()


def test_the_tables_name_command_normalisation_threshold_and_bins(study: EncoderStudy) -> None:
    text = render_markdown(study)
    assert text.startswith("```bash\npirta evaluate encoder --out o\n```")
    assert "mAP normalised by min(n, relevant)" in text
    point = study.evaluation.operating_point
    assert point is not None
    assert str(point) in text
    assert "| figure | all | north | south |" in text
    assert "| site among normals |" in text
    assert "adjusted Rand index) 0.250" in text
    widths = {line.count("|") for line in text.splitlines() if line.startswith("| figure")}
    assert widths == {5}


def test_every_table_row_has_as_many_cells_as_its_head(study: EncoderStudy) -> None:
    for block in render_markdown(study).split("\n\n"):
        rows = [line for line in block.splitlines() if line.startswith("|")]
        assert len({row.replace("\\|", "").count("|") for row in rows}) <= 1


def test_the_terminals_tables_fit_80_columns(study: EncoderStudy) -> None:
    console = Console(width=80)
    with console.capture() as captured:
        console.print(render_rich(study))
    assert max(len(line) for line in captured.get().splitlines()) <= 80


def test_one_class_only_and_no_projection_leave_pictures_out_and_say_not_defined(
    make_cases, tmp_path: Path
) -> None:
    normals = EncoderCases(index=make_cases([0, 1], name="i"), queries=make_cases([0, 0, 0]))
    study = study_encoder(normals, origin={}, options=FEW, num_permutations=0)
    write_folder(tmp_path, study)
    names = {path.stem for path in (tmp_path / "figures").iterdir()}
    assert names == {"confusion", "reliability", "precision_by_data"}
    text = (tmp_path / "evaluation.md").read_text()
    assert "| any lesion: AUROC | not defined |" in text
    assert "No operating point" in text
    assert "No projection: fewer than 16 cases." in text
    assert to_json(study)["projection"] is None


def test_a_compared_encoder_stands_beside_with_its_differences(make_cases) -> None:
    truths = [0, 1, 2] * 4
    index = make_cases([0, 1, 2, 3], name="i")
    ours, theirs = (
        EncoderCases(index, make_cases(shown, truths), validation=make_cases([0, 1], name="v"))
        for shown in (truths, [0, 1, 1] * 4)
    )
    study = study_encoder(ours, origin={}, other=theirs, options=FEW, num_permutations=0)
    text = render_markdown(study)
    assert "| precision@1 | 1.000 (0.735-1.000) | 0.667" in text
    assert "| +0.333 (" in text
    assert "| class | 4 | 0 | 0.1250 |" in text


def test_queries_that_chose_the_threshold_or_lie_in_the_index_are_told(make_cases) -> None:
    cases = make_cases([0, 1, 2, 3])
    study = study_encoder(
        EncoderCases(cases, cases, validation=cases), origin={}, options=FEW, num_permutations=0
    )
    text = render_markdown(study)
    assert "4 queries are of patients that threshold and temperature were chosen on" in text
    assert "4 queries are of patients in the index" in text


def test_a_folder_that_cannot_be_made_is_told_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError, match=r"cannot be written to .*: .*\. Make room"):
        make_folder(tmp_path / "file" / "out")
