"""The tokenizer keeps text to the letter and speaks Llama 3's chat form."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from train_jobs.writer_corpus import Chat, base_document, writer_example
from train_jobs.writer_tokens import (
    NOT_LEARNED,
    SPECIAL_TOKENS,
    batch_of,
    prompt_ids,
    token_row,
    train_tokenizer,
)

_RNG = np.random.default_rng(0)
_TEXTS = [base_document(_RNG).answer for _ in range(200)]
TOKENIZER: Any = train_tokenizer(_TEXTS, vocab_size=500)


@given(st.text(max_size=80).filter(lambda text: "<|" not in text))
def test_any_text_makes_the_round_trip(text: str) -> None:
    ids = TOKENIZER.encode(text, add_special_tokens=False)
    assert TOKENIZER.decode(ids) == text


def test_the_vocabulary_is_no_larger_than_asked_and_begins_with_the_special_tokens() -> None:
    assert len(TOKENIZER) <= 500
    assert TOKENIZER.convert_tokens_to_ids(list(SPECIAL_TOKENS)) == list(range(6))


def test_a_prompt_is_in_llama_3s_form() -> None:
    text = TOKENIZER.decode(prompt_ids(TOKENIZER, "Hello"))
    assert text == (
        "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\nHello<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\n"
    )


def test_a_row_is_the_prompt_as_served_then_the_answer_then_the_end_of_turn() -> None:
    chat = writer_example(np.random.default_rng(1)).chat
    assert chat.user is not None
    row = token_row(TOKENIZER, chat)
    assert list(row.ids[: row.num_prompt]) == prompt_ids(TOKENIZER, chat.user)
    assert TOKENIZER.decode(row.ids[row.num_prompt :]) == f"{chat.answer}<|eot_id|>"


@pytest.mark.parametrize("answers_only", [False, True])
def test_only_what_shall_be_learned_carries_a_label(answers_only: bool) -> None:
    rows = [
        token_row(TOKENIZER, Chat("Say it.", "It.")),
        token_row(TOKENIZER, Chat(None, "A longer line of plain text.")),
    ]
    pad = TOKENIZER.pad_token_id
    ids_BT, mask_BT, labels_BT = batch_of(rows, pad_id=pad, answers_only=answers_only)
    for index, row in enumerate(rows):
        length = len(row.ids)
        start = row.num_prompt if answers_only else 0
        assert mask_BT[index].sum() == length
        assert (ids_BT[index, length:] == pad).all()
        assert (labels_BT[index, :start] == NOT_LEARNED).all()
        assert (labels_BT[index, length:] == NOT_LEARNED).all()
        assert labels_BT[index, start:length].tolist() == list(row.ids[start:])
