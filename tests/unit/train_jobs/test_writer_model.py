"""How the base is held and which layers are trained, for each named run."""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec

import pytest
import torch

from pirta.errors import TrainingError
from train_jobs import writer_model
from train_jobs.writer_model import base_options, check_four_bit, lora_config
from train_jobs.writer_presets import LORA_TARGETS, adapter_demo, adapter_paper, adapter_qlora


def test_qlora_is_the_papers_run_on_one_gpu_with_the_base_in_four_bits() -> None:
    paper, qlora = adapter_paper(), adapter_qlora()
    changed = {"name", "loop", "four_bit"}
    assert paper.model_dump(exclude=changed) == qlora.model_dump(exclude=changed)
    loop = {"num_workers", "num_threads", "rows_at_once"}
    assert paper.loop.model_dump(exclude=loop) == qlora.loop.model_dump(exclude=loop)
    assert (qlora.four_bit, qlora.loop.num_workers, qlora.loop.rows_at_once) == (True, 1, 2)


def test_four_bits_are_nf4_with_quantised_scales_and_bfloat16_arithmetic() -> None:
    options = base_options(adapter_qlora())
    config = options["quantization_config"].to_dict()
    assert config["load_in_4bit"] is True
    assert config["bnb_4bit_quant_type"] == "nf4"
    assert config["bnb_4bit_use_double_quant"] is True
    assert config["bnb_4bit_compute_dtype"] == "bfloat16"
    assert options["device_map"] == {"": 0}


def test_other_runs_hold_the_base_whole() -> None:
    assert base_options(adapter_paper()) == {"dtype": torch.bfloat16}
    assert base_options(adapter_demo()) == {"dtype": torch.float32}
    check_four_bit(adapter_paper())


def test_the_layers_are_those_of_the_run() -> None:
    config = lora_config(adapter_qlora())
    assert (config.r, config.lora_alpha, config.lora_dropout) == (16, 32, 0.05)
    assert config.target_modules == set(LORA_TARGETS)


def test_without_a_gpu_four_bits_are_refused_with_what_to_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(TrainingError, match=r"'qlora' .* finds no GPU.*demo on a CPU"):
        check_four_bit(adapter_qlora())


def test_without_bitsandbytes_four_bits_are_refused_with_what_to_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(writer_model, "find_spec", lambda _: None)
    with pytest.raises(TrainingError, match=r"bitsandbytes is not installed.*Install bitsandbytes"):
        check_four_bit(adapter_qlora())
    monkeypatch.setattr(writer_model, "find_spec", lambda name: ModuleSpec(name, None))
    check_four_bit(adapter_qlora())
    assert "bitsandbytes" not in sys.modules
