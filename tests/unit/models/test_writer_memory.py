"""Memory of a writer against figures worked out by hand for Llama-3-8B, and against torch."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from pirta.errors import CheckpointError, MemoryShortError
from pirta.models.writer_memory import (
    GIB,
    ServingMemory,
    activation_bytes_per_token,
    check_memory_share,
    serving_memory,
    training_memory,
)
from pirta.models.writer_shape import WriterShape, read_shape
from pirta.settings import SHIPPED_WEIGHTS
from tests.unit.models.llama_3 import CONFIG, write_config


@pytest.fixture
def llama_3(tmp_path: Path) -> WriterShape:
    return read_shape(write_config(tmp_path))


def served(shape: WriterShape, num_sequences: int = 1) -> ServingMemory:
    return serving_memory(
        shape,
        dtype="bfloat16",
        max_model_tokens=1024,
        num_sequences=num_sequences,
        max_lora_rank=16,
        num_adapters=2,
    )


def test_llama_3_8b_has_its_published_number_of_weights(llama_3: WriterShape) -> None:
    assert llama_3.num_weights == 8_030_261_248


def test_the_shipped_base_has_the_number_of_weights_that_its_manifest_counted() -> None:
    manifest = json.loads((SHIPPED_WEIGHTS / "writer_base" / "manifest.json").read_text())
    shape = read_shape(SHIPPED_WEIGHTS / "writer_base")
    assert shape.num_weights == manifest["metrics"]["num_weights"]


def test_llama_3_8b_is_served_in_what_a_hand_works_out(llama_3: WriterShape) -> None:
    memory = served(llama_3, num_sequences=32)
    assert memory.weights_bytes == 16_060_522_496  # 16.06 GB
    # Keys and values, 32 layers, 8 heads of 128 values, 2 bytes each.
    assert memory.kv_bytes_per_token == 2 * 32 * 8 * 128 * 2 == 128 * 1024
    assert memory.kv_cache_bytes == 4 * GIB  # 128 KiB · 1024 tokens · 32 sequences
    assert memory.adapters_bytes == 2 * 41_943_040 * 2
    assert memory.total_bytes == 16_060_522_496 + 4 * GIB + 167_772_160
    assert memory.smallest_bytes == 16_060_522_496 + GIB // 8 + 167_772_160


def test_an_adapter_of_rank_16_on_all_layers_has_42_million_weights(llama_3: WriterShape) -> None:
    # 16 · 32 layers · (q 8192 + k 5120 + v 5120 + o 8192 + gate, up and down 18432 each)
    assert llama_3.num_lora_weights(rank=16) == 16 * 32 * 81_920 == 41_943_040
    assert llama_3.num_lora_weights(rank=8, targets=("q_proj", "v_proj")) == 8 * 32 * 13_312


def test_qlora_holds_the_linear_layers_in_four_bits_and_a_little(llama_3: WriterShape) -> None:
    plain = training_memory(llama_3, lora_rank=16, batch_tokens=1)
    small = training_memory(llama_3, lora_rank=16, batch_tokens=1, in_four_bits=True)
    assert plain.weights_bytes == 16_060_522_496
    # 6,979,321,856 weights at 4.127 bits; 1,050,939,392 (tables and norms) at two bytes.
    assert small.weights_bytes == pytest.approx(6_979_321_856 * 4.127 / 8 + 2_101_878_784, rel=1e-4)
    assert plain.trained_bytes == small.trained_bytes == 16 * 41_943_040
    assert plain.activations_bytes == small.activations_bytes


def test_activations_are_what_torch_keeps_for_the_backward_pass(tmp_path: Path) -> None:
    from peft import LoraConfig, get_peft_model
    from transformers import LlamaConfig, LlamaForCausalLM

    sizes = {
        "hidden_size": 64, "intermediate_size": 224, "num_hidden_layers": 8,
        "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 320,
    }  # fmt: skip
    shape = read_shape(write_config(tmp_path, **sizes))
    torch.manual_seed(0)
    model = LlamaForCausalLM._from_config(LlamaConfig(**sizes), dtype=torch.bfloat16)
    lora = LoraConfig(r=4, lora_dropout=0.05, target_modules=list(shape.projections))
    adapted = get_peft_model(model, lora)
    own = {value.untyped_storage().data_ptr() for value in model.parameters()}
    kept: dict[int, torch.Tensor] = {}

    def keep(value: torch.Tensor) -> torch.Tensor:
        if value.untyped_storage().data_ptr() not in own:
            kept[value.untyped_storage().data_ptr()] = value
        return value

    ids = torch.zeros(2, 512, dtype=torch.long)
    with (
        torch.autograd.graph.saved_tensors_hooks(keep, lambda value: value),
        torch.autocast("cpu", dtype=torch.bfloat16),
    ):
        adapted(input_ids=ids, labels=ids)
    measured = sum(value.untyped_storage().nbytes() for value in kept.values()) / ids.numel()
    # The forward pass keeps the logits; their gradient, as large, comes with the backward one.
    expected = activation_bytes_per_token(shape, lora_rank=4) - 4 * sizes["vocab_size"]
    # The first block keeps a little less: what enters it is in bfloat16.
    assert measured == pytest.approx(expected, rel=0.02)


def test_a_share_that_cannot_hold_one_sequence_is_refused_with_one_that_can(
    llama_3: WriterShape,
) -> None:
    memory = served(llama_3)
    with pytest.raises(MemoryShortError, match=r"0\.1 of 1 x 80\.0 GiB is 8\.0 GiB") as refusal:
        check_memory_share(memory, memory_utilization=0.1, device_bytes=80 * GIB)
    assert "writer.memory_utilization to 0.20 or more" in refusal.value.remedy
    check_memory_share(memory, memory_utilization=0.2, device_bytes=80 * GIB)


def test_two_gpus_share_what_one_cannot_hold(llama_3: WriterShape) -> None:
    memory = served(llama_3)
    with pytest.raises(MemoryShortError, match="more memory"):
        check_memory_share(memory, memory_utilization=0.9, device_bytes=15 * GIB)
    check_memory_share(memory, memory_utilization=0.9, device_bytes=15 * GIB, num_devices=2)


def test_a_llama_without_grouped_heads_gives_each_head_its_own_keys(tmp_path: Path) -> None:
    config = {name: value for name, value in CONFIG.items() if name != "num_key_value_heads"}
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert read_shape(tmp_path).key_value_size == 4096


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "config.json is missing"),
        ("{", "no JSON object"),
        ("[]", "no JSON object"),
        ('{"model_type": "mixtral"}', "'mixtral'"),
        ('{"model_type": "llama", "num_attention_heads": 4}', "hidden_size"),
        ('{"model_type": "llama", "num_attention_heads": 0, "hidden_size": 8}', "head_dim"),
        (json.dumps(CONFIG | {"vocab_size": "many"}), "vocab_size"),
    ],
)
def test_a_folder_that_tells_no_sizes_is_refused_by_name(
    content: str | None, words: str, tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / "config.json").write_text(content)
    with pytest.raises(CheckpointError, match=words):
        read_shape(tmp_path)
