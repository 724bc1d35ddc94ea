"""The demo writer's tokenizer, and chats as rows of token ids.

A byte-level BPE with Llama 3's special tokens and chat template, trained on the corpus itself,
so that the served engine treats the demo model and Llama-3-8B-Instruct alike.

Axis suffixes: B rows of a batch, T tokens. Label -100 is not learned.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from train_jobs.writer_corpus import Chat

BOS = "<|begin_of_text|>"
END = "<|end_of_text|>"
HEADER = "<|start_header_id|>"
HEADER_END = "<|end_header_id|>"
TURN_END = "<|eot_id|>"
PAD = "<|finetune_right_pad_id|>"
SPECIAL_TOKENS = (BOS, END, HEADER, HEADER_END, TURN_END, PAD)

CHAT_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "{{ '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n'"
    " + message['content'] | trim + '<|eot_id|>' }}"
    "{% endfor %}{% if add_generation_prompt %}"
    "{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"
)
NOT_LEARNED = -100


@dataclass(frozen=True)
class TokenRow:
    """One chat as ids, and how many of them come before the answer."""

    ids: tuple[int, ...]
    num_prompt: int


def train_tokenizer(texts: Iterable[str], *, vocab_size: int) -> PreTrainedTokenizerFast:
    """Return a byte-level BPE of at most `vocab_size` tokens, special ones included."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{BOS} $A", special_tokens=[(BOS, tokenizer.token_to_id(BOS))]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=BOS,
        eos_token=TURN_END,
        pad_token=PAD,
        chat_template=CHAT_TEMPLATE,
        clean_up_tokenization_spaces=False,
    )


def token_row(tokenizer: Any, chat: Chat) -> TokenRow:
    """Return a chat's ids: the prompt as the engine will see it, the answer, end of turn."""
    if chat.user is None:
        prompt: list[int] = [tokenizer.bos_token_id]
    else:
        prompt = prompt_ids(tokenizer, chat.user)
    answer = tokenizer.encode(chat.answer, add_special_tokens=False)
    return TokenRow((*prompt, *answer, tokenizer.eos_token_id), len(prompt))


def prompt_ids(tokenizer: Any, user: str) -> list[int]:
    """Return the ids up to where the assistant starts to write."""
    text = tokenizer.apply_chat_template(
        [{"role": "user", "content": user}], tokenize=False, add_generation_prompt=True
    )
    ids: list[int] = tokenizer.encode(text, add_special_tokens=False)
    return ids


def batch_of(
    rows: Sequence[TokenRow], *, pad_id: int, answers_only: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Return ids_BT, mask_BT (1 = token) and labels_BT of rows padded on the right."""
    longest = max(len(row.ids) for row in rows)
    ids_BT = torch.full((len(rows), longest), pad_id)
    mask_BT = torch.zeros((len(rows), longest), dtype=torch.long)
    labels_BT = torch.full((len(rows), longest), NOT_LEARNED)
    for index, row in enumerate(rows):
        length = len(row.ids)
        start = row.num_prompt if answers_only else 0
        ids_BT[index, :length] = torch.tensor(row.ids)
        mask_BT[index, :length] = 1
        labels_BT[index, start:length] = ids_BT[index, start:length]
    return ids_BT, mask_BT, labels_BT
