"""From stores and an encoder to a file that the writer's fine-tuning takes."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from numpy.typing import NDArray

from pirta.cohort.prepared_store import read_prepared
from pirta.contracts.finding import Label
from pirta.errors import ManifestError, OutOfFoldError
from pirta.models.runtime import LoadedEncoder
from train_jobs.evaluation_data import DataName
from train_jobs.make_writer_prompts import PromptPlan, main, make_prompts
from train_jobs.out_of_fold import Fold, Proof
from train_jobs.prompt_patients import Half, is_in
from train_jobs.real_prompts import PromptMix
from train_jobs.tuned_patients import patient_hash
from train_jobs.writer_prompts import examples_sha256, read_examples


@dataclass
class _Knowing:
    """An encoder that knows the order of the synthetic store: one case a label."""

    sha256: str = "a" * 64
    preprocessing_fingerprint: str = "synthetic"

    def embed(
        self, volume_BCXYZ: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        one_hot_BK = np.eye(4, dtype=np.float32)[np.arange(len(volume_BCXYZ)) % 4]
        return one_hot_BK, 0.96 * one_hot_BK + 0.01


ENCODER = cast(LoadedEncoder, _Knowing())
FOLD = Fold(Proof.RECORD, frozenset(patient_hash(f"train-{label}") for label in Label))


@pytest.fixture
def plan(synthetic_store: str, tmp_path: Path) -> PromptPlan:
    return PromptPlan(
        index=DataName("index", synthetic_store, "train"),
        queries=(DataName("val", synthetic_store, "val"),),
        out=tmp_path / "prompts.jsonl",
        work=tmp_path,
        half=Half.ALL,
        mix=PromptMix(top_k=4, poisoned_share=1, missing_share=1),
    )


def test_the_lines_hold_the_true_finding_and_what_the_encoder_found(
    plan: PromptPlan, synthetic_store: str
) -> None:
    made = make_prompts(plan, ENCODER, FOLD)
    found = read_examples(plan.out)
    truths = {
        patient_hash(row.case.patient_id): row.case.finding
        for row in read_prepared(synthetic_store)
    }
    known = {row.case.label: row.case.finding for row in read_prepared(synthetic_store)[:4]}
    assert len(found) == 12
    for example in found:
        assert example.patient is not None
        assert example.truth == truths[example.patient]
        if len(example.neighbours) == 4 and example.poisoned_rank is None:
            label = example.truth.label if example.truth else Label.NORMAL
            assert example.neighbours[0] == known[label]
    assert (made["num_retrieved"], made["num_poisoned"], made["num_missing"]) == (4, 4, 4)
    assert (made["num_patients"], made["proof"]) == (4, "record")
    assert made["sha256"] == examples_sha256(found)


def test_what_stands_beside_the_file_names_data_by_hash_and_never_by_address(
    plan: PromptPlan, synthetic_store: str
) -> None:
    made = make_prompts(plan, ENCODER, FOLD)
    text = plan.out.with_suffix(".json").read_text()
    assert json.loads(text) == json.loads(json.dumps(made))
    assert synthetic_store not in text
    assert "val-normal" not in text + plan.out.read_text()


def test_cases_the_encoder_was_tuned_on_are_refused_and_nothing_is_written(
    plan: PromptPlan, synthetic_store: str
) -> None:
    spoilt = replace(plan, queries=(DataName("mixed", synthetic_store, None),))
    with pytest.raises(OutOfFoldError, match="tuned on 4 of the 8 patients in mixed"):
        make_prompts(spoilt, ENCODER, FOLD)
    assert not plan.out.exists()


def test_each_half_of_the_patients_gives_its_own_prompts(plan: PromptPlan) -> None:
    patients = [f"val-{label}" for label in Label]
    for half in (Half.PROMPTS, Half.EVALUATION):
        make_prompts(replace(plan, half=half), ENCODER, FOLD)
        found = {one.patient for one in read_examples(plan.out)}
        assert found == {patient_hash(one) for one in patients if is_in(half, one)}


def test_a_half_without_patients_is_refused(plan: PromptPlan, monkeypatch: Any) -> None:
    monkeypatch.setattr("train_jobs.make_writer_prompts.is_in", lambda *_: False)
    with pytest.raises(ManifestError, match="belongs to the half 'all'"):
        make_prompts(plan, ENCODER, FOLD)


def test_the_command_tells_a_mistake_in_one_line(
    synthetic_store: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(
            [
                *("--encoder", str(tmp_path / "none"), "--index", f"{synthetic_store}:train"),
                *("--queries", f"{synthetic_store}:val", "--out", str(tmp_path / "p.jsonl")),
            ]
        )
    assert ended.value.code == 2
    assert "There is no checkpoint in" in capsys.readouterr().err
