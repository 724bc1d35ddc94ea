"""What a run learns and what it is measured on: whole patients held out, kinds mixed by a seed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pirta.errors import TrainingError
from train_jobs.writer_corpus import (
    WriterExample,
    names_its_answer,
    with_fewer_neighbours,
    writer_example,
)
from train_jobs.writer_examples import example_sets, split_by_patient
from train_jobs.writer_presets import adapter_demo, adapter_tiny
from train_jobs.writer_prompts import write_examples

# Three, two, one and four prompts a patient.
PATIENTS = ("a", "a", "a", "b", "b", "c", "d", "d", "d", "d")


@pytest.fixture
def examples() -> list[WriterExample]:
    rng = np.random.default_rng(0)
    return [replace(writer_example(rng, poisoned=True), patient=name) for name in PATIENTS]


def test_drawn_examples_are_held_out_by_another_seed() -> None:
    sets = example_sets(adapter_tiny(), None)
    assert len(sets.learnt) == 24
    assert len(sets.held_out_drawn) == 6
    assert not {item.chat for item in sets.learnt} & {item.chat for item in sets.held_out_drawn}
    assert sets.held_out_real == ()


def test_without_patients_the_last_fifth_at_most_is_held_out(
    examples: list[WriterExample], tmp_path: Path
) -> None:
    path = tmp_path / "prompts.jsonl"
    nameless = [replace(one, patient=None) for one in examples]
    write_examples(nameless, path)
    sets = example_sets(adapter_tiny(), path)
    assert sets.learnt == tuple(nameless[:8])
    assert sets.held_out_real == tuple(nameless[8:])
    assert sets.held_out_drawn == ()


@pytest.mark.parametrize(
    ("patients", "num_held_out"),
    [("aaabbcdddd", 4), ("aaaaaabbbc", 1), ("aabbccddee", 2), ("abbbbbbbbb", 9)],
)
def test_whole_patients_are_held_out_and_no_more_than_a_fifth_unless_one_is_larger(
    examples: list[WriterExample], patients: str, num_held_out: int
) -> None:
    named = [replace(one, patient=name) for one, name in zip(examples, patients, strict=True)]
    learnt, held_out = split_by_patient(named, 300)
    assert (*learnt, *held_out) == tuple(named)
    assert len(held_out) == num_held_out
    assert not {one.patient for one in learnt} & {one.patient for one in held_out}


def test_patients_whose_lines_are_scattered_and_a_single_patient_are_refused(
    examples: list[WriterExample],
) -> None:
    with pytest.raises(TrainingError, match="do not stand together"):
        split_by_patient([*examples, examples[0]], 5)
    with pytest.raises(TrainingError, match="one patient only"):
        split_by_patient(examples[:3], 5)


def test_drawn_prompts_are_learnt_beside_real_ones_that_come_several_times(
    examples: list[WriterExample], tmp_path: Path
) -> None:
    path = tmp_path / "prompts.jsonl"
    write_examples(examples, path)
    run = adapter_tiny().model_copy(update={"num_beside_real": 7, "real_copies": 3})
    sets = example_sets(run, path)
    assert len(sets.learnt) == 7 + 3 * 6
    assert sets.learnt[7:13] == sets.learnt[13:19] == tuple(examples[:6])
    assert sets.learnt[:7] == example_sets(adapter_tiny(), None).learnt[:7]
    assert len(sets.held_out_drawn) == 6


def test_an_answer_that_no_neighbour_names_is_measured_and_never_learnt(
    examples: list[WriterExample], tmp_path: Path
) -> None:
    path = tmp_path / "prompts.jsonl"
    foreign = [
        replace(one, neighbours=(one.neighbours[one.poisoned_rank or 0],)) for one in examples
    ]
    write_examples([foreign[0], *examples[1:6], *foreign[6:]], path)
    sets = example_sets(adapter_tiny(), path)
    assert sets.learnt == tuple(examples[1:6])
    assert sets.held_out_real == tuple(foreign[6:])
    write_examples(foreign, path)
    with pytest.raises(TrainingError, match="In none of the 6 prompts"):
        example_sets(adapter_tiny(), path)


def test_the_answer_needs_its_class_and_type_from_neighbours_of_its_label() -> None:
    rng = np.random.default_rng(1)
    drawn = (writer_example(rng, poisoned=True) for _ in range(99))
    example = next(one for one in drawn if one.truth is not None)
    truth = example.truth
    assert truth is not None
    other_class = "mild" if truth.lesion_class == "strong" else "strong"
    near = truth.model_copy(update={"lesion_class": other_class})
    assert names_its_answer(replace(example, neighbours=(truth,)))
    assert not names_its_answer(replace(example, neighbours=(near, None)))
    other_type = "small" if truth.infarct_type != "small" else "small lacune"
    far = truth.model_copy(update={"infarct_type": other_type})
    assert names_its_answer(replace(example, neighbours=(near, far)))
    assert not names_its_answer(replace(example, neighbours=(None,)))
    assert names_its_answer(replace(example, neighbours=(truth, None), truth=None))


def test_fewer_neighbours_keep_their_order_and_no_poison() -> None:
    rng = np.random.default_rng(2)
    sizes = set()
    for _ in range(60):
        whole = writer_example(rng, poisoned=True)
        marked = replace(whole, neighbours=tuple(range(5)))  # type: ignore[arg-type]
        fewer = with_fewer_neighbours(rng, marked)
        assert list(fewer.neighbours) == sorted(fewer.neighbours)  # type: ignore[type-var]
        assert (fewer.poisoned_rank, fewer.truth) == (None, whole.truth)
        sizes.add(len(fewer.neighbours))
    assert sizes == {1, 2, 3, 4}


def test_the_demo_draws_its_share_of_prompts_with_fewer_neighbours() -> None:
    run = adapter_demo().model_copy(update={"num_examples": 600, "missing_share": 0.25})
    short = sum(len(one.neighbours) < 5 for one in example_sets(run, None).learnt)
    assert 110 < short < 190
