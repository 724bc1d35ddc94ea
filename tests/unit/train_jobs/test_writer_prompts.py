"""Files of real prompts: a round trip, and one clear error for each way they can be wrong."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from pirta.errors import TrainingError
from train_jobs.finetune_writer import finetune
from train_jobs.writer_corpus import WriterExample, writer_example
from train_jobs.writer_presets import adapter_tiny
from train_jobs.writer_prompts import examples_sha256, read_examples, write_examples


@pytest.fixture
def examples() -> list[WriterExample]:
    rng = np.random.default_rng(0)
    return [writer_example(rng) for _ in range(20)]


def test_examples_make_the_round_trip(examples: list[WriterExample], tmp_path: Path) -> None:
    write_examples(examples, tmp_path / "prompts.jsonl")
    assert read_examples(tmp_path / "prompts.jsonl") == examples


def test_a_line_without_patient_and_poison_is_a_prompt_too(
    examples: list[WriterExample], tmp_path: Path
) -> None:
    path = tmp_path / "prompts.jsonl"
    write_examples(examples[:2], path)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    short = [{key: line[key] for key in ("registry", "neighbours", "truth")} for line in lines]
    path.write_text("".join(f"{json.dumps(line)}\n" for line in short))
    assert [one.chat for one in read_examples(path)] == [one.chat for one in examples[:2]]


def test_the_hash_follows_the_content(examples: list[WriterExample]) -> None:
    assert examples_sha256(examples) == examples_sha256(list(examples))
    assert examples_sha256(examples) != examples_sha256(examples[1:])


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"prompts\.jsonl does not exist"):
        read_examples(tmp_path / "prompts.jsonl")


def test_a_bad_line_is_named_by_number_and_field_without_its_value(
    examples: list[WriterExample], tmp_path: Path
) -> None:
    path = tmp_path / "prompts.jsonl"
    write_examples(examples[:1], path)
    with path.open("a") as stream:
        stream.write('{"registry": {"age_years": -3}, "neighbours": [null], "truth": null}\n')
    with pytest.raises(TrainingError, match=r"Line 2 .*registry\.age_years") as caught:
        read_examples(path)
    assert "-3" not in str(caught.value).replace(str(path), "")


@pytest.mark.parametrize("content", ["", "not json\n"])
def test_an_empty_file_or_other_text_is_refused(content: str, tmp_path: Path) -> None:
    path = tmp_path / "prompts.jsonl"
    path.write_text(content)
    with pytest.raises(TrainingError, match="prompts"):
        read_examples(path)


def test_a_missing_base_is_named_before_anything_starts(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="no base model in"):
        finetune(adapter_tiny(), base=tmp_path / "none", run_dir=tmp_path / "run", to=tmp_path)
    assert not (tmp_path / "run").exists()
