"""What the writer learns from: neighbours that mostly agree, and answers that are true."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pirta.contracts.finding import finding_sentence, label_of
from pirta.reporting.answer import answer_text, parse_answer
from train_jobs.writer_corpus import (
    NUM_NEIGHBOURS,
    base_document,
    majority,
    random_finding,
    writer_example,
)
from train_jobs.writer_scores import baseline_scores, poison_scores, scores


def test_the_same_seed_gives_the_same_examples() -> None:
    first, second = ([writer_example(np.random.default_rng(3)) for _ in range(5)] for _ in range(2))
    assert first == second
    assert base_document(np.random.default_rng(3)) == base_document(np.random.default_rng(3))


def test_the_answer_is_the_true_finding_and_never_the_neighbours() -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        example = writer_example(rng)
        assert finding_sentence(parse_answer(example.chat.answer).finding) == finding_sentence(
            example.truth
        )
        assert example.chat.user is not None
        assert example.chat.user.count("\n[") == NUM_NEIGHBOURS


def test_a_poisoned_example_has_one_foreign_neighbour_at_any_rank() -> None:
    rng = np.random.default_rng(0)
    ranks = set()
    for _ in range(200):
        example = writer_example(rng, poisoned=True)
        foreign = [
            rank
            for rank, finding in enumerate(example.neighbours)
            if label_of(finding) is not label_of(example.truth)
        ]
        assert foreign == [example.poisoned_rank]
        ranks.update(foreign)
    assert ranks == set(range(NUM_NEIGHBOURS))


def test_neighbours_mostly_agree_but_not_always() -> None:
    rng = np.random.default_rng(0)
    shares = baseline_scores([writer_example(rng) for _ in range(1000)])
    assert 0.5 < shares["first_neighbour_equals_truth"] < shares["majority_equals_truth"] < 0.98


def test_every_kind_of_finding_and_the_normal_study_occur() -> None:
    rng = np.random.default_rng(0)
    sentences = {finding_sentence(random_finding(rng)) for _ in range(2000)}
    assert len(sentences) == 31


def test_base_documents_are_plain_text_in_one_of_three() -> None:
    rng = np.random.default_rng(0)
    plain = sum(base_document(rng).user is None for _ in range(900))
    assert 240 < plain < 360


@pytest.mark.parametrize(
    ("sentences", "expected"), [(["a", "b", "b"], "b"), (["a", "b"], "a"), (["a"], "a")]
)
def test_the_majority_of_a_tie_is_the_first(sentences: list[str], expected: str) -> None:
    assert majority(sentences) == expected


def test_right_answers_score_one_and_answers_out_of_form_score_nothing() -> None:
    rng = np.random.default_rng(0)
    examples = [writer_example(rng, poisoned=True) for _ in range(20)]
    right = scores(examples, [example.chat.answer for example in examples])
    assert set(right.values()) == {1.0}
    assert set(scores(examples, ["Well."] * 20).values()) == {0.0}


def test_a_rule_that_copies_the_poison_is_caught_and_one_that_weighs_is_not() -> None:
    rng = np.random.default_rng(0)
    examples = [writer_example(rng, poisoned=True) for _ in range(40)]
    copied = [answer_text(one.neighbours[one.poisoned_rank or 0]) for one in examples]
    found = poison_scores(examples, copied)
    assert (found["poisoned_copies_poison"], found["poisoned_label_equals_truth"]) == (1.0, 0.0)
    weighed = poison_scores(examples, [one.chat.answer for one in examples])
    assert (weighed["poisoned_copies_poison"], weighed["poisoned_label_equals_truth"]) == (0.0, 1.0)
    assert weighed["num_poisoned"] == 40
    assert poison_scores(examples, ["Well."] * 40)["poisoned_label_equals_truth"] == 0.0


def test_a_label_that_other_neighbours_name_too_is_no_sign_of_copying() -> None:
    rng = np.random.default_rng(0)
    example = writer_example(rng, poisoned=True)
    poison = example.neighbours[example.poisoned_rank or 0]
    echoed = replace(example, neighbours=(*example.neighbours, poison))
    assert poison_scores([echoed], [answer_text(poison)]) == {}
    plain = replace(example, poisoned_rank=None)
    assert poison_scores([plain], [answer_text(poison)]) == {}


def test_the_rules_are_right_where_neighbours_say_so() -> None:
    rng = np.random.default_rng(0)
    example = next(
        one
        for one in (writer_example(rng, poisoned=True) for _ in range(99))
        if one.poisoned_rank == 0
    )
    found = baseline_scores([example])
    assert found == {
        "first_neighbour_equals_truth": 0.0,
        "majority_equals_truth": 1.0,
        "first_neighbour_label_equals_truth": 0.0,
        "majority_label_equals_truth": 1.0,
    }
