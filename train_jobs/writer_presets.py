"""Named runs of the two writer jobs, as functions that return a frozen settings record.

`paper` is the paper's fine-tuning (Llama-3-8B-Instruct, 10 epochs, batch 16); what the paper
does not give (LoRA rank and targets, learning rate) is chosen here. `demo` makes the weights
that ship with the repository on one CPU thread; `tiny` is for tests. The paper pretrains no
language model, so that the base has no `paper` run.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, Field

from pirta.errors import TrainingError

LORA_TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
Run = TypeVar("Run")
PAPER_BASE = "meta-llama/Meta-Llama-3-8B-Instruct"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class LoopSettings(_Frozen):
    """What both jobs' training loop needs.

    Attributes:
        batch_size: examples a step over all workers.
        answers_only: learn the answers' tokens alone, not the prompts'.
        save_every_steps: steps between two checkpoints to resume from.
        use_bf16: multiply in bfloat16 where the device has units for it.
        rows_at_once: of a worker's share of a step that go through the model together; None is
            all. A step's gradient is the same, it needs less memory and more time.
    """

    epochs: int = Field(ge=1)
    batch_size: int = Field(ge=1)
    learning_rate: float = Field(gt=0)
    weight_decay: float = Field(default=0.01, ge=0)
    warmup_share: float = Field(default=0.05, ge=0, lt=1)
    clip_norm: float = Field(default=1.0, gt=0)
    answers_only: bool
    seed: int = 0
    save_every_steps: int = Field(ge=1)
    num_workers: int = Field(default=1, ge=1)
    num_threads: int = Field(default=1, ge=1)
    use_gpu: bool = False
    use_bf16: bool = True
    rows_at_once: int | None = Field(default=None, ge=1)


class BaseRun(_Frozen):
    """Pretraining of the demo language model."""

    name: str
    loop: LoopSettings
    num_documents: int = Field(ge=1)
    num_held_out: int = Field(default=200, ge=1)
    vocab_size: int = Field(default=2048, ge=300)
    hidden_size: int = 256
    intermediate_size: int = 512
    num_layers: int = 4
    num_heads: int = 4
    num_kv_heads: int = 2
    max_tokens: int = 2048


class AdapterRun(_Frozen):
    """LoRA fine-tuning on Table-3 prompts.

    Attributes:
        base_name: what the adapter's config calls its base; a name, never a path.
        num_examples: prompts drawn from the seed where no file of real ones is given.
        num_beside_real: prompts drawn from the seed that are learnt beside a file's.
        real_copies: how often a file's prompts are learnt in an epoch, beside drawn ones.
        missing_share: of the drawn prompts that lose some of their neighbours.
        four_bit: hold the frozen base in 4 bits (QLoRA); needs a GPU and bitsandbytes.
    """

    name: str
    loop: LoopSettings
    base_name: str = "writer_base"
    num_examples: int = Field(ge=1)
    num_beside_real: int = Field(default=0, ge=0)
    real_copies: int = Field(default=1, ge=1)
    missing_share: float = Field(default=0.0, ge=0, le=1)
    num_held_out: int = Field(default=300, ge=1)
    four_bit: bool = False
    lora_rank: int = Field(default=8, ge=1)
    lora_alpha: int = Field(default=16, ge=1)
    lora_dropout: float = Field(default=0.0, ge=0, lt=1)


def base_demo() -> BaseRun:
    """The shipped base: about 2.9 million weights, some 10 minutes on one thread."""
    loop = LoopSettings(
        epochs=1, batch_size=16, learning_rate=2e-3, answers_only=False, save_every_steps=200
    )
    return BaseRun(name="demo", loop=loop, num_documents=32_000)


def base_tiny() -> BaseRun:
    """Seconds on one thread; learns next to nothing."""
    loop = LoopSettings(
        epochs=1, batch_size=4, learning_rate=2e-3, answers_only=False, save_every_steps=4
    )
    return BaseRun(
        name="tiny", loop=loop, num_documents=32, num_held_out=4, vocab_size=400, hidden_size=64,
        intermediate_size=96, num_layers=1, num_heads=2, num_kv_heads=1,
    )  # fmt: skip


def adapter_paper() -> AdapterRun:
    """The paper's run: 10 epochs, batch 16, on prompts made from verified cases."""
    loop = LoopSettings(
        epochs=10, batch_size=16, learning_rate=2e-4, answers_only=True, save_every_steps=50,
        num_workers=4, num_threads=8, use_gpu=True,
    )  # fmt: skip
    return AdapterRun(
        name="paper", loop=loop, base_name=PAPER_BASE, num_examples=827, lora_rank=16,
        lora_alpha=32, lora_dropout=0.05,
    )  # fmt: skip


def adapter_qlora() -> AdapterRun:
    """The paper's run on one small GPU: the base in 4 bits, two prompts at a time."""
    run = adapter_paper()
    loop = run.loop.model_copy(update={"num_workers": 1, "num_threads": 4, "rows_at_once": 2})
    return run.model_copy(update={"name": "qlora", "loop": loop, "four_bit": True})


def adapter_demo() -> AdapterRun:
    """For one CPU thread; drawn prompts, and more of them beside a file of real ones.

    The shipped adapter was made from 5,000 drawn prompts, before there were real ones.
    """
    loop = LoopSettings(
        epochs=1, batch_size=16, learning_rate=4e-3, answers_only=True, save_every_steps=100
    )
    return AdapterRun(
        name="demo", loop=loop, num_examples=5_000, num_beside_real=8_000, real_copies=4,
        missing_share=0.15,
    )  # fmt: skip


def adapter_tiny() -> AdapterRun:
    """Seconds on one thread."""
    loop = LoopSettings(
        epochs=1, batch_size=4, learning_rate=4e-3, answers_only=True, save_every_steps=3
    )
    return AdapterRun(name="tiny", loop=loop, num_examples=24, num_held_out=6, lora_rank=4)


BASE_RUNS: dict[str, Callable[[], BaseRun]] = {"demo": base_demo, "tiny": base_tiny}
ADAPTER_RUNS: dict[str, Callable[[], AdapterRun]] = {
    "paper": adapter_paper,
    "qlora": adapter_qlora,
    "demo": adapter_demo,
    "tiny": adapter_tiny,
}


def named_run(runs: dict[str, Callable[[], Run]], name: str) -> Run:
    """Return the settings of a named run.

    Raises:
        TrainingError: there is no run of that name.
    """
    if name not in runs:
        raise TrainingError(
            f"There is no run '{name}' of this job.", remedy=f"Known runs: {', '.join(runs)}."
        )
    return runs[name]()
