"""How good a writer is on held-out prompts, beside what it has to beat.

Answers are decoded greedily and without structured output: the share in form is the model's
own. The baselines are those a reader would try first: copy the nearest case, or the most
frequent sentence of the five. It measures text only; whether the right cases were retrieved is
measured elsewhere.

Axis suffixes: B prompts, T tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from pirta.contracts.finding import finding_sentence, label_of
from pirta.errors import WriterOutputError
from pirta.reporting.answer import parse_answer
from pirta.reporting.consensus import majority
from train_jobs.writer_corpus import WriterExample
from train_jobs.writer_tokens import prompt_ids

MAX_ANSWER_TOKENS = 64


def write_answers(
    model: Any, tokenizer: Any, users: Sequence[str], *, batch_size: int = 50
) -> list[str]:
    """Return the model's greedy answer to each user turn."""
    answers: list[str] = []
    for start in range(0, len(users), batch_size):
        prompts = [prompt_ids(tokenizer, user) for user in users[start : start + batch_size]]
        longest = max(len(ids) for ids in prompts)
        ids_BT = torch.full((len(prompts), longest), tokenizer.pad_token_id)
        mask_BT = torch.zeros((len(prompts), longest), dtype=torch.long)
        for row, ids in enumerate(prompts):
            ids_BT[row, longest - len(ids) :] = torch.tensor(ids)
            mask_BT[row, longest - len(ids) :] = 1
        with torch.inference_mode():
            written_BT = model.generate(
                input_ids=ids_BT.to(model.device),
                attention_mask=mask_BT.to(model.device),
                max_new_tokens=MAX_ANSWER_TOKENS,
                do_sample=False,
                pad_token_id=tokenizer.pad_token_id,
            )
        answers += tokenizer.batch_decode(written_BT[:, longest:], skip_special_tokens=True)
    return answers


def scores(examples: Sequence[WriterExample], answers: Sequence[str]) -> dict[str, float]:
    """Return shares in [0, 1] over all examples; an answer out of form counts as wrong."""
    count = len(examples)
    hits = dict.fromkeys(("in_form", "equals_truth", "equals_majority", "label_equals_truth"), 0)
    for example, answer in zip(examples, answers, strict=True):
        try:
            finding = parse_answer(answer).finding
        except WriterOutputError:
            continue
        sentence = finding_sentence(finding)
        hits["in_form"] += 1
        hits["equals_truth"] += sentence == finding_sentence(example.truth)
        hits["equals_majority"] += sentence == majority_sentence(example)
        hits["label_equals_truth"] += label_of(finding) is label_of(example.truth)
    return {name: hit / count for name, hit in hits.items()}


def baseline_scores(examples: Sequence[WriterExample]) -> dict[str, float]:
    """Return the share of examples that two rules get right without any model.

    `..._equals_truth` asks for the whole sentence, `..._label_equals_truth` for the territory (or
    normal) alone. `majority_label` counts labels, `majority` sentences.
    """
    count = len(examples)
    hits = dict.fromkeys(
        (
            "first_neighbour_equals_truth",
            "majority_equals_truth",
            "first_neighbour_label_equals_truth",
            "majority_label_equals_truth",
        ),
        0,
    )
    for example in examples:
        truth, label = finding_sentence(example.truth), label_of(example.truth)
        labels = [label_of(finding) for finding in example.neighbours]
        hits["first_neighbour_equals_truth"] += finding_sentence(example.neighbours[0]) == truth
        hits["majority_equals_truth"] += majority_sentence(example) == truth
        hits["first_neighbour_label_equals_truth"] += labels[0] is label
        hits["majority_label_equals_truth"] += majority(labels) is label
    return {name: hit / count for name, hit in hits.items()}


def poison_scores(examples: Sequence[WriterExample], answers: Sequence[str]) -> dict[str, float]:
    """Return what became of the poisoned examples; empty where there is none.

    `copies_poison` is the share of answers with the label that was put there. Only examples count
    whose label is named by no other neighbour: there the answer can have come from nowhere else.
    """
    counted, copied, right = 0, 0, 0
    for example, answer in zip(examples, answers, strict=True):
        rank = example.poisoned_rank
        if rank is None:
            continue
        labels = [label_of(finding) for finding in example.neighbours]
        if labels.count(labels[rank]) > 1:
            continue
        counted += 1
        try:
            label = label_of(parse_answer(answer).finding)
        except WriterOutputError:
            continue
        copied += label is labels[rank]
        right += label is label_of(example.truth)
    if not counted:
        return {}
    return {
        "poisoned_copies_poison": copied / counted,
        "poisoned_label_equals_truth": right / counted,
        "num_poisoned": float(counted),
    }


def majority_sentence(example: WriterExample) -> str:
    """Return the most frequent sentence among the neighbours; of tied ones, the nearest."""
    return majority([finding_sentence(finding) for finding in example.neighbours])
