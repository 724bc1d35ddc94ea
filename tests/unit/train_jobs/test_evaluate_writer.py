"""From prepared stores to a folder of figures, with a writer that is scripted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pirta.cohort.prepared_store import read_prepared
from pirta.contracts.finding import Label
from pirta.errors import CheckpointError, InputError, ManifestError
from pirta.evaluation.writer_evaluation import WriterOptions
from pirta.evaluation.writer_reports import ToldReport
from pirta.models.config import tiny
from pirta.models.encoder import TerritoryEncoder
from pirta.models.runtime import save_encoder
from pirta.settings import SHIPPED_WEIGHTS
from tests.unit.evaluation.writers import ANTERIOR, DEEP, abstains, asked, near, says
from tests.unit.train_jobs.writer_questions import copies_rank, opened
from train_jobs.evaluate_writer import run_writer_evaluation
from train_jobs.evaluation_data import parse_data
from train_jobs.writer_curves import risk_curves
from train_jobs.writer_plan import WriterPlan
from train_jobs.writer_queries import read_patients, usual_findings


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("encoder")
    save_encoder(
        folder,
        TerritoryEncoder(tiny()),
        run={},
        data_sha256="d" * 64,
        preprocessing_fingerprint="synthetic",
        metrics={},
        command="none",
    )
    return folder


def plan(store: str, encoder: Path, out: Path, **changes: Any) -> WriterPlan:
    fields: dict[str, Any] = {
        "encoder": encoder,
        "base": SHIPPED_WEIGHTS / "writer_base",
        "adapter": SHIPPED_WEIGHTS / "writer_adapter",
        "index": parse_data(f"{store}:train"),
        "data": (parse_data(f"held={store}:val"), parse_data(f"again={store}:val")),
        "out": out,
        "options": WriterOptions(num_resamples=10),
    }
    return WriterPlan(**fields | changes)


def test_a_run_leaves_every_system_of_the_same_cases_in_one_folder(
    synthetic_store: str, encoder: Path, tmp_path: Path
) -> None:
    seen: list[str] = []
    study = run_writer_evaluation(
        plan(synthetic_store, encoder, tmp_path),
        engine=opened(copies_rank(1)),
        on_progress=lambda _done, _total, what: seen.append(what),
    )
    content = json.loads((tmp_path / "evaluation.json").read_text())
    systems = content["groups"][0]["systems"]
    assert list(systems) == [
        "product", "no abstention", "no grounding", "free decoding", "top 1", "no retrieval",
        "classifier template", "first neighbour", "majority",
    ]  # fmt: skip
    # A writer that copies the first neighbour is as good as that rule.
    naive, rule = systems["no grounding"], systems["first neighbour"]
    assert naive["territory Acc@1, of all"] == rule["territory Acc@1, of all"]
    assert naive["format validity"]["value"] == 1.0
    assert [(one.name, one.num_cases) for one in study.groups[1:3]] == [("held", 4), ("again", 4)]
    assert {one["num_poisoned"] for one in content["poison"]} <= {1, 2, 3, 4}
    assert content["origin"]["command"].startswith("pirta evaluate writer --encoder")
    assert content["origin"]["limits_fitted_on"] is None
    assert {"product", "majority, poisoned", "figures"} <= set(seen)
    assert (tmp_path / "evaluation.md").is_file()


def test_patients_that_are_named_do_not_ask(
    synthetic_store: str, encoder: Path, tmp_path: Path
) -> None:
    strokes = [
        row.case.patient_id
        for row in read_prepared(synthetic_store)
        if row.case.label is not Label.NORMAL
    ]
    (tmp_path / "named").write_text("\n".join(strokes) + "\n\n")
    changes = {"without_patients": tmp_path / "named"}
    study = run_writer_evaluation(
        plan(synthetic_store, encoder, tmp_path, **changes), engine=opened(copies_rank(1))
    )
    assert (study.groups[0].num_cases, study.groups[0].num_strokes) == (2, 0)
    assert study.origin["num_left_out"] == 6
    everybody = [row.case.patient_id for row in read_prepared(synthetic_store)]
    (tmp_path / "named").write_text("\n".join(everybody))
    with pytest.raises(ManifestError, match="no held-out case"):
        run_writer_evaluation(
            plan(synthetic_store, encoder, tmp_path, **changes), engine=opened(copies_rank(1))
        )


def test_limits_that_saw_the_store_are_told_and_decide_who_abstains(
    synthetic_store: str, encoder: Path, tmp_path: Path
) -> None:
    first = run_writer_evaluation(
        plan(synthetic_store, encoder, tmp_path), engine=opened(copies_rank(1))
    )
    origin = json.loads((tmp_path / "evaluation.json").read_text())["origin"]
    fitted = {
        "limits": {"min_confidence": 1.0},
        "encoder_sha256": origin["encoder_sha256"],
        "top_k": 5,
        "held_out": {"name": "val", "studies_sha256": origin["data"][0]["studies_sha256"]},
    }
    (tmp_path / "limits.json").write_text(json.dumps(fitted))
    study = run_writer_evaluation(
        plan(synthetic_store, encoder, tmp_path, limits=tmp_path / "limits.json"),
        engine=opened(copies_rank(1)),
    )
    assert study.groups[0].outcomes["product"] == {"abstained": 8}
    assert study.groups[0].outcomes["no abstention"] == first.groups[0].outcomes["no abstention"]
    assert "come from the store of held, again" in (tmp_path / "evaluation.md").read_text()


def test_data_of_one_name_an_adapter_of_none_and_a_file_of_nobody_are_refused(
    synthetic_store: str, encoder: Path, tmp_path: Path
) -> None:
    twice = (parse_data(synthetic_store), parse_data(synthetic_store))
    with pytest.raises(InputError, match="under a name of its own"):
        run_writer_evaluation(plan(synthetic_store, encoder, tmp_path, data=twice))
    with pytest.raises(CheckpointError, match=r"manifest\.json is missing"):
        run_writer_evaluation(plan(synthetic_store, encoder, tmp_path, adapter=tmp_path))
    (tmp_path / "nobody").write_text("\n \n")
    for named in (tmp_path / "nobody", tmp_path / "not there"):
        with pytest.raises(ManifestError, match="pseudonym"):
            read_patients(named)


def test_the_template_of_a_label_is_its_commonest_finding() -> None:
    cases = [("p", near(one)) for one in (ANTERIOR, None, DEEP, DEEP)]
    assert usual_findings(cases) == {
        Label.NORMAL: None, Label.ANTERIOR: ANTERIOR, Label.DEEP_GRAY: DEEP,
    }  # fmt: skip


def test_the_curve_is_of_the_writer_without_limits_and_the_product_stands_in_it() -> None:
    cases = [asked(DEEP, number) for number in range(4)]
    always = [
        says(DEEP, confidence=0.9),
        says(DEEP, confidence=0.8),
        says(None, confidence=0.7),
        abstains(confidence=0.95),
    ]
    product = [*always[:2], abstains(), abstains()]
    (curve,) = risk_curves(cases, always, product)
    np.testing.assert_allclose(curve.coverage, [0.25, 0.5, 0.75, 1.0])
    np.testing.assert_allclose(curve.risk, [0, 0, 1 / 3, 0.5])
    assert curve.at_limits == (0.5, 0.0)
    silent: list[ToldReport] = [abstains()] * 4
    assert risk_curves(cases, always, silent)[0].at_limits is None
