"""`pirta writer-memory`: what a base model will take, before it is served or fine-tuned.

Reads the base's `config.json` and the settings, prints counts, and ends with an error where
`writer.memory_utilization` of the device cannot hold it. No weight and no engine is loaded; see
`pirta.models.writer_memory` for what is counted and what is not.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pirta_cli.options import SettingsOption

if TYPE_CHECKING:
    from pirta.models.writer_memory import ServingMemory, TrainingMemory
    from pirta.settings import Settings


def writer_memory(
    base: Annotated[
        Path | None, typer.Option(help="Folder of a base model; writer.base_path if left out.")
    ] = None,
    memory_gib: Annotated[
        float | None,
        typer.Option(min=0.01, help="Of one GPU; this machine's memory where the CPU serves."),
    ] = None,
    batch_tokens: Annotated[
        int, typer.Option(min=1, help="Tokens of one training worker's share of a step.")
    ] = 2048,
    settings: SettingsOption = None,
) -> None:
    """Print what a Llama base takes, served as the settings say and fine-tuned.

    Weights, adapters and key-value cache for scaling.engine.max_ongoing_requests answers at once;
    LoRA and QLoRA of rank writer.max_lora_rank. Lower bounds: an engine takes some more.
    """
    from pirta.models.writer_memory import (
        ADAPTERS_AT_ONCE,
        GIB,
        check_memory_share,
        serving_memory,
        training_memory,
    )
    from pirta.models.writer_shape import read_shape
    from pirta.settings import load_settings

    values = load_settings(settings)
    writer = values.writer
    folder = base or writer.base_path
    shape = read_shape(folder)
    typer.echo(f"{folder}: {shape.num_weights / 1e9:.3f} billion weights")
    serving = serving_memory(
        shape,
        dtype=writer.dtype,
        max_model_tokens=writer.max_model_tokens,
        num_sequences=values.scaling.engine.max_ongoing_requests,
        max_lora_rank=writer.max_lora_rank,
        num_adapters=ADAPTERS_AT_ONCE,
    )
    typer.echo(_served(serving, values))
    for name, in_four_bits in (("LoRA", False), ("QLoRA", True)):
        training = training_memory(
            shape,
            lora_rank=writer.max_lora_rank,
            batch_tokens=batch_tokens,
            in_four_bits=in_four_bits,
        )
        typer.echo(_trained(name, training, writer.max_lora_rank, batch_tokens))
    device_bytes = _device_bytes(values, memory_gib)
    if device_bytes is None:
        return
    num_devices = writer.tensor_parallel_size
    check_memory_share(
        serving,
        memory_utilization=writer.memory_utilization,
        device_bytes=device_bytes,
        num_devices=num_devices,
    )
    typer.echo(
        f"writer.memory_utilization {writer.memory_utilization:g} of {num_devices} x "
        f"{device_bytes / GIB:.1f} GiB is enough"
    )


def _served(serving: ServingMemory, values: Settings) -> str:
    return (
        f"serve, {values.writer.dtype}: weights {_size(serving.weights_bytes)}, "
        f"adapters {_size(serving.adapters_bytes)}, cache {_size(serving.kv_cache_bytes)} "
        f"({values.scaling.engine.max_ongoing_requests} x {values.writer.max_model_tokens} tokens "
        f"of {serving.kv_bytes_per_token / 1024:g} KiB), together {_size(serving.total_bytes)}; "
        f"at least {_size(serving.smallest_bytes)}"
    )


def _trained(name: str, training: TrainingMemory, rank: int, batch_tokens: int) -> str:
    return (
        f"fine-tune, {name}, rank {rank}: weights {_size(training.weights_bytes)}, adapter with "
        f"gradients and moments {_size(training.trained_bytes)}, {batch_tokens} tokens' "
        f"activations {_size(training.activations_bytes)}, together {_size(training.total_bytes)}"
    )


def _device_bytes(values: Settings, memory_gib: float | None) -> int | None:
    """One GPU's memory as told, this machine's where the CPU serves, or None: not known here."""
    from pirta.models.writer_memory import GIB

    if memory_gib is not None:
        return round(memory_gib * GIB)
    if values.writer.accelerator is not None:
        return None
    import psutil

    return int(psutil.virtual_memory().total)


def _size(num_bytes: int) -> str:
    from pirta.models.writer_memory import GIB

    mib = GIB // 1024
    return f"{num_bytes / GIB:.2f} GiB" if num_bytes >= GIB else f"{num_bytes / mib:.1f} MiB"
