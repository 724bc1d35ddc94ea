"""Does a release's writer write at all? Its base and adapter, on a few prompts, without an engine.

Loaded with transformers and peft as they lie on disk, and decoded greedily without structured
output: what comes out of form here is the model's own doing, and would be forced into form by the
service. How good its findings are is measured when it is trained (`train_jobs.writer_scores`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pirta.contracts.release import Release
from pirta.errors import CheckpointError, WriterOutputError
from pirta.reporting.answer import parse_answer
from pirta.reporting.prompt import Prompt

# An answer in form has less than this in any tokenizer; a model that rambles is cut off.
_MOST_TOKENS = 96
# What transformers and peft raise for weights, a tokenizer or a configuration that do not fit.
_LOAD_FAULTS = (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError, ImportError)


def count_in_form(release: Release, prompts: Sequence[Prompt]) -> int:
    """Return how many prompts are answered in the report's form.

    Raises:
        CheckpointError: base and adapter cannot be loaded together.
    """
    model, tokenizer = _load(release)
    return sum(_is_in_form(_answer(model, tokenizer, prompt)) for prompt in prompts)


def _load(release: Release) -> tuple[Any, Any]:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    base, adapter = Path(release.writer_base_path), Path(release.writer_adapter_path)
    try:
        with _no_progress_bars():
            tokenizer = AutoTokenizer.from_pretrained(base, local_files_only=True)
            model = AutoModelForCausalLM.from_pretrained(base, dtype="auto", local_files_only=True)
            adapted = PeftModel.from_pretrained(model, adapter, local_files_only=True)
    except _LOAD_FAULTS as error:
        raise CheckpointError(
            f"The writer's base and adapter cannot be loaded together ({type(error).__name__}).",
            remedy="Name a base and an adapter that were trained with each other.",
        ) from None
    return adapted.eval(), tokenizer


@contextmanager
def _no_progress_bars() -> Iterator[None]:
    """Keep transformers' bars off the terminal: the caller draws its own progress."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def _answer(model: Any, tokenizer: Any, prompt: Prompt) -> str:
    import torch

    text = tokenizer.apply_chat_template(
        prompt.messages, tokenize=False, add_generation_prompt=True
    )
    given = tokenizer(text, add_special_tokens=False, return_tensors="pt").to(model.device)
    with torch.inference_mode():
        written = model.generate(
            input_ids=given["input_ids"],
            attention_mask=given["attention_mask"],
            max_new_tokens=_MOST_TOKENS,
            do_sample=False,
            pad_token_id=tokenizer.eos_token_id,
        )
    tokens = written[0, given["input_ids"].shape[1] :]
    return str(tokenizer.decode(tokens, skip_special_tokens=True))


def _is_in_form(text: str) -> bool:
    try:
        parse_answer(text)
    except WriterOutputError:
        return False
    return True
