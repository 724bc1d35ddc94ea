"""What memory a writer takes, served and fine-tuned, from its sizes alone.

Counted: weights, the key-value cache, adapters; in training also gradients, AdamW's two moments
and what the forward pass keeps for the backward one. Not counted: CUDA's context and the
allocator's slack (1 to 2 GB on a GPU), and vLLM's own work space. So a figure here is a lower
bound to plan from; the engine measures for itself when it starts. Nothing is loaded or allocated.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from pirta.errors import MemoryShortError
from pirta.models.writer_shape import WriterShape

Precision = Literal["float32", "bfloat16", "float16"]

GIB: Final = 1024**3
# An engine answers with two at a time: the active release's and the one before or after it.
ADAPTERS_AT_ONCE: Final = 2
_BYTES_OF: Final = {"float32": 4, "bfloat16": 2, "float16": 2}
# Four bits, and a scale for each 64 weights that is itself held in 8 bits, with one float32 for
# 256 of them (Dettmers et al. 2023, QLoRA: 4 + 0.127 bits).
_NF4_BYTES: Final = (4 + 8 / 64 + 32 / (64 * 256)) / 8
# Each trained weight: itself, its gradient and AdamW's two moments, all float32.
_TRAINED_WEIGHT_BYTES: Final = 4 * 4
_LOGIT_BYTES: Final = 2 * 4  # the logits in float32, and their gradient


@dataclass(frozen=True)
class ServingMemory:
    """What an engine holds, in bytes over all its GPUs.

    Attributes:
        kv_bytes_per_token: keys and values of one token in all layers.
        kv_cache_bytes: for `num_sequences` answers at once, each of `max_model_tokens`.
        smallest_bytes: with a cache for one sequence only, below which no engine starts.
    """

    weights_bytes: int
    adapters_bytes: int
    kv_bytes_per_token: int
    kv_cache_bytes: int
    smallest_bytes: int

    @property
    def total_bytes(self) -> int:
        """All of it."""
        return self.weights_bytes + self.adapters_bytes + self.kv_cache_bytes


@dataclass(frozen=True)
class TrainingMemory:
    """What one worker of the fine-tuning holds, in bytes; gradients are not recomputed.

    Attributes:
        trained_bytes: the adapter in float32 with its gradients and moments.
        activations_bytes: what `batch_tokens` keep for the backward pass.
    """

    weights_bytes: int
    trained_bytes: int
    activations_bytes: int

    @property
    def total_bytes(self) -> int:
        """All of it."""
        return self.weights_bytes + self.trained_bytes + self.activations_bytes


def serving_memory(
    shape: WriterShape,
    *,
    dtype: Precision,
    max_model_tokens: int,
    num_sequences: int,
    max_lora_rank: int,
    num_adapters: int,
) -> ServingMemory:
    """Return what an engine takes that writes `num_sequences` answers at once.

    Args:
        max_lora_rank: the engine sets room aside for adapters of this rank, in all linear layers.
    """
    size = _BYTES_OF[dtype]
    weights = size * shape.num_weights
    adapters = size * num_adapters * shape.num_lora_weights(rank=max_lora_rank)
    per_token = 2 * shape.num_hidden_layers * shape.key_value_size * size
    return ServingMemory(
        weights_bytes=weights,
        adapters_bytes=adapters,
        kv_bytes_per_token=per_token,
        kv_cache_bytes=per_token * max_model_tokens * num_sequences,
        smallest_bytes=weights + adapters + per_token * max_model_tokens,
    )


def training_memory(
    shape: WriterShape,
    *,
    lora_rank: int,
    batch_tokens: int,
    dtype: Precision = "bfloat16",
    in_four_bits: bool = False,
) -> TrainingMemory:
    """Return what a worker takes to train an adapter on all linear layers, in mixed precision.

    Args:
        batch_tokens: of one worker's share of a step, padding included.
        in_four_bits: QLoRA: the linear layers' weights as NF4 with double quantisation.
    """
    size = _BYTES_OF[dtype]
    weights = size * shape.num_weights
    if in_four_bits:
        weights = size * (shape.num_weights - shape.num_linear_weights)
        weights += round(_NF4_BYTES * shape.num_linear_weights)
    return TrainingMemory(
        weights_bytes=weights,
        trained_bytes=_TRAINED_WEIGHT_BYTES * shape.num_lora_weights(rank=lora_rank),
        activations_bytes=batch_tokens * activation_bytes_per_token(shape, lora_rank=lora_rank),
    )


def activation_bytes_per_token(shape: WriterShape, *, lora_rank: int) -> int:
    """Return what one token keeps for the backward pass, under autocast to bfloat16.

    Of each block: eight times the hidden size in float32 (residuals, norms, and the outputs that
    the adapters add to) and six times in bfloat16 (the adapters' inputs after dropout), queries
    and attention's output, keys and values; of the feed-forward size, once in float32 and four
    times in bfloat16; each adapter's inner values, and attention's and the norms' statistics.
    """
    block = (
        (8 * 4 + 6 * 2) * shape.hidden_size
        + 2 * 2 * shape.query_size
        + 2 * 2 * shape.key_value_size
        + (4 + 4 * 2) * shape.intermediate_size
        + len(shape.projections) * 2 * lora_rank
        + 4 * shape.num_attention_heads
        + 2 * 4
    )
    return shape.num_hidden_layers * block + _LOGIT_BYTES * shape.vocab_size


def check_memory_share(
    needed: ServingMemory, *, memory_utilization: float, device_bytes: int, num_devices: int = 1
) -> None:
    """Raise MemoryShortError where the engine's share of the memory cannot hold one sequence.

    Args:
        device_bytes: of one GPU, or of the machine where it runs on the CPU.
        num_devices: GPUs that share the model (`writer.tensor_parallel_size`).
    """
    held_bytes = device_bytes * num_devices
    share_bytes = memory_utilization * held_bytes
    if needed.smallest_bytes <= share_bytes:
        return
    hundredths = -(-100 * needed.smallest_bytes // held_bytes)
    raise MemoryShortError(
        f"writer.memory_utilization {memory_utilization:g} of {num_devices} x "
        f"{device_bytes / GIB:.1f} GiB is {share_bytes / GIB:.1f} GiB; weights, adapters and one "
        f"sequence take {needed.smallest_bytes / GIB:.1f} GiB.",
        remedy=f"Set writer.memory_utilization to {hundredths / 100:.2f} or more."
        if hundredths < 100
        else "Take a device with more memory, a smaller writer.dtype, or a larger "
        "writer.tensor_parallel_size.",
    )
