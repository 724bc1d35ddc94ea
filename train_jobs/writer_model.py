"""The model that an adapter run trains: a frozen base with fresh LoRA layers.

The base is held in bfloat16 on a GPU, in float32 on a CPU, or in 4 bits (QLoRA, Dettmers et al.
2023: NF4, the scales quantised too, arithmetic in bfloat16) for a GPU that could not hold it
otherwise. It loads and does not train.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

from pirta.errors import TrainingError
from train_jobs.writer_presets import LORA_TARGETS, AdapterRun


def build_model(run: AdapterRun, base: Path) -> Any:
    """Return the frozen base with LoRA layers drawn from the run's seed.

    Raises:
        TrainingError: see `check_four_bit`.
    """
    from peft import get_peft_model
    from transformers import AutoModelForCausalLM

    check_four_bit(run)
    model = AutoModelForCausalLM.from_pretrained(
        base, local_files_only=True, use_safetensors=True, **base_options(run)
    )
    if run.four_bit:
        from peft import prepare_model_for_kbit_training

        # Norms in float32, and activations computed again on the way back instead of kept.
        model = prepare_model_for_kbit_training(model, use_gradient_checkpointing=True)
    torch.manual_seed(run.loop.seed)
    return get_peft_model(model, lora_config(run))


def check_four_bit(run: AdapterRun) -> None:
    """Refuse a run in 4 bits where it cannot work, before anything is loaded.

    Raises:
        TrainingError: there is no bitsandbytes, or no GPU.
    """
    if not run.four_bit:
        return
    if not torch.cuda.is_available():
        raise TrainingError(
            f"The run '{run.name}' holds its base in 4 bits, and torch finds no GPU.",
            remedy="Start it where a GPU is, or name a run without four_bit (demo on a CPU).",
        )
    if find_spec("bitsandbytes") is None:
        raise TrainingError(
            f"The run '{run.name}' holds its base in 4 bits, and bitsandbytes is not installed.",
            remedy="Install bitsandbytes beside torch, or name a run without four_bit (paper).",
        )


def base_options(run: AdapterRun) -> dict[str, Any]:
    """Return how transformers shall hold the frozen base."""
    dtype = torch.bfloat16 if run.loop.use_gpu else torch.float32
    if not run.four_bit:
        return {"dtype": dtype}
    from transformers import BitsAndBytesConfig

    return {
        "dtype": dtype,
        "quantization_config": BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=torch.bfloat16,
        ),
        # Quantised while it loads, on the one GPU that this process sees.
        "device_map": {"": 0},
    }


def lora_config(run: AdapterRun) -> Any:
    """Return the LoRA layers of a run, as PEFT describes them."""
    from peft import LoraConfig

    return LoraConfig(
        r=run.lora_rank,
        lora_alpha=run.lora_alpha,
        lora_dropout=run.lora_dropout,
        target_modules=list(LORA_TARGETS),
        task_type="CAUSAL_LM",
    )
