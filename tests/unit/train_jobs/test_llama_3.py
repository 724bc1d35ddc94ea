"""Llama-3-8B-Instruct by configuration alone: its prompt to the letter, its LoRA, its size."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from pirta.contracts.study import Registry
from pirta.models.writer_shape import WriterShape, read_shape
from pirta.reporting.answer import answer_text
from pirta.reporting.prompt import build_prompt, prompt_text
from tests.unit.models import llama_3
from tests.unit.reporting.examples import ANTERIOR, DEEP, REGISTRY, cases
from tests.unit.reporting.injections import INJECTIONS
from train_jobs.writer_corpus import Chat
from train_jobs.writer_presets import LORA_TARGETS, adapter_paper
from train_jobs.writer_tokens import prompt_ids, token_row

# Table 3's prompt in one turn of the user, as the published template renders it.
RENDERED = """\
<|begin_of_text|><|start_header_id|>user<|end_header_id|>

Provide proper clinical report based on Registry and Similar patient reports.
### Registry: 75-year-old, Female, Altered Mentality, 32.0, HTN, Afib,

Similar patient reports:
[1] There is mild wedge-shaped vascular territorial diffusion restriction in the anterior \
circulation territory.
[2] There is mild wedge-shaped vascular territorial diffusion restriction in the anterior \
circulation territory.
[3] There is strong small lacune diffusion restriction in the deep gray matter territory.
[4] There is mild wedge-shaped vascular territorial diffusion restriction in the anterior \
circulation territory.
[5] There is no diffusion restriction.<|eot_id|><|start_header_id|>assistant<|end_header_id|>

"""
ANSWER = """\
Findings: There is mild wedge-shaped vascular territorial diffusion restriction in the anterior \
circulation territory.
Impression: Acute infarction<|eot_id|>"""
EVIDENCE = cases(ANTERIOR, ANTERIOR, DEEP, ANTERIOR, None)


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return llama_3.make_tokenizer()


@pytest.fixture(scope="module")
def adapted() -> Any:
    """The model at its real size on the meta device, with the paper's adapter: no memory."""
    from peft import LoraConfig, get_peft_model
    from transformers import LlamaConfig, LlamaForCausalLM

    run = adapter_paper()
    with torch.device("meta"):
        model = LlamaForCausalLM(LlamaConfig(**llama_3.CONFIG))
        return get_peft_model(
            model,
            LoraConfig(
                r=run.lora_rank, lora_alpha=run.lora_alpha, target_modules=list(LORA_TARGETS)
            ),
        )


@pytest.fixture
def shape(tmp_path: Any) -> WriterShape:
    return read_shape(llama_3.write_config(tmp_path))


def test_the_prompt_of_table_3_is_rendered_to_the_letter(tokenizer: Any) -> None:
    user = build_prompt(REGISTRY, EVIDENCE).user
    assert tokenizer.decode(prompt_ids(tokenizer, user)) == RENDERED


def test_a_training_row_goes_on_with_the_answer_and_the_end_of_the_turn(tokenizer: Any) -> None:
    user = build_prompt(REGISTRY, EVIDENCE).user
    row = token_row(tokenizer, Chat(user, answer_text(ANTERIOR)))
    assert tokenizer.decode(row.ids) == RENDERED + ANSWER
    assert tokenizer.decode(row.ids[row.num_prompt :]) == ANSWER


def test_a_prompt_has_the_templates_six_control_tokens_and_no_other(tokenizer: Any) -> None:
    assert control_tokens(tokenizer, build_prompt(REGISTRY, EVIDENCE).user) == [
        "<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>",
        "<|start_header_id|>", "<|end_header_id|>",
    ]  # fmt: skip


@pytest.mark.parametrize("injection", [*INJECTIONS, *llama_3.SPECIAL_TOKENS])
def test_no_text_of_registry_or_neighbour_adds_a_control_token(
    injection: str, tokenizer: Any
) -> None:
    row = Registry(presentation=injection[:500], history=(injection[:200], "HTN"))
    user = prompt_text(row, [injection, "There is no diffusion restriction."])
    assert len(control_tokens(tokenizer, user)) == 6


def test_the_count_would_see_a_control_token_that_was_let_through(tokenizer: Any) -> None:
    assert len(control_tokens(tokenizer, "Dizzy<|eot_id|>")) == 7


def test_the_papers_run_names_layers_that_llama_3_has_in_every_block(adapted: Any) -> None:
    names = {name for name, _ in adapted.base_model.model.named_modules()}
    for target in LORA_TARGETS:
        of_target = [name for name in names if name.rsplit(".", 1)[-1] == target]
        assert len(of_target) == llama_3.CONFIG["num_hidden_layers"], target


def test_the_papers_adapter_trains_as_many_weights_as_the_formula_says(
    adapted: Any, shape: WriterShape
) -> None:
    trained = sum(value.numel() for value in adapted.parameters() if value.requires_grad)
    assert trained == 41_943_040
    assert trained == shape.num_lora_weights(rank=adapter_paper().lora_rank, targets=LORA_TARGETS)
    frozen = sum(value.numel() for value in adapted.parameters() if not value.requires_grad)
    assert frozen == shape.num_weights


def test_the_shape_names_the_layers_that_the_runs_adapt(shape: WriterShape) -> None:
    assert set(shape.projections) == set(LORA_TARGETS)


def test_the_papers_adapter_is_served_within_the_default_rank() -> None:
    from pirta.settings import WriterSettings

    assert adapter_paper().lora_rank <= WriterSettings().max_lora_rank


def control_tokens(tokenizer: Any, user: str) -> list[str]:
    ids = prompt_ids(tokenizer, user)
    special = set(tokenizer.all_special_ids) | set(
        tokenizer.convert_tokens_to_ids(list(llama_3.SPECIAL_TOKENS))
    )
    return [tokenizer.convert_ids_to_tokens(number) for number in ids if number in special]
