"""The writer's engine inside this process: vLLM, as the service configures it, without Serve.

For measurements that ask thousands of questions at once. `open_engine` gives an `AnswerEngine`,
which knows one base and one adapter; whoever asks it needs neither vLLM nor weights, so that a
test asks a scripted one. Decoding is greedy and the same question has one answer: it is asked
once and remembered. The service's own engine is `serve_apps.llm`; a test holds the two
configurations against each other.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

from pirta.contracts.release import Decoding
from pirta.errors import CheckpointError, RegistryError, TrainingError, UnavailableError
from pirta.models.checkpoint import verify_manifest
from pirta.settings import WriterSettings
from train_jobs.writer_folder import base_sha256
from train_jobs.writer_tokens import prompt_ids

_ENGINE_ENVIRONMENT = {
    "VLLM_LOGGING_LEVEL": "WARNING",
    "VLLM_NO_USAGE_STATS": "1",
    "HF_HUB_OFFLINE": "1",
}

# Questions under way at once; the engine batches them.
CONCURRENT = 64


class AnswerEngine(Protocol):
    """Answers a user's turn."""

    async def answer(self, user: str, *, regex: str | None) -> str:
        """Return the answer, in the form of `regex` where one is given.

        Raises:
            RegistryError: the prompt is longer than the model takes.
        """
        ...


class RememberedAnswers:
    """Asks an engine each question once, a bounded number at a time."""

    def __init__(self, engine: AnswerEngine, *, concurrent: int = CONCURRENT) -> None:
        self._engine = engine
        self._turn = asyncio.Semaphore(concurrent)
        self._asked: dict[tuple[str, str | None], asyncio.Task[str]] = {}

    async def answer(self, user: str, *, regex: str | None) -> str:
        """Return the engine's answer, or the one that it gave before.

        Raises:
            RegistryError: the prompt is longer than the model takes.
        """
        key = (user, regex)
        if key not in self._asked:
            self._asked[key] = asyncio.create_task(self._ask(user, regex))
        # Shielded: one who asks no longer waits must not take the answer from the others.
        return await asyncio.shield(self._asked[key])

    async def _ask(self, user: str, regex: str | None) -> str:
        async with self._turn:
            return await self._engine.answer(user, regex=regex)


@asynccontextmanager
async def open_engine(
    base: Path,
    adapter: Path,
    settings: WriterSettings,
    *,
    decoding: Decoding,
    on_stage: Callable[[str], None],
) -> AsyncIterator[AnswerEngine]:
    """Start vLLM with a base and an adapter; it ends with the block.

    Raises:
        CheckpointError: a folder is not what it should be, or the adapter is another base's.
        UnavailableError: vLLM is not installed.
        TrainingError: the engine does not start.
    """
    check_adapter(base, adapter)
    # The engine's own process takes them over.
    for name, value in _ENGINE_ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    on_stage("importing vLLM")
    try:
        from vllm.engine.arg_utils import AsyncEngineArgs
        from vllm.v1.engine.async_llm import AsyncLLM
    except ImportError as error:
        raise UnavailableError(
            f"The writer's engine, vLLM, cannot be imported ({error.name or 'unknown'}).",
            remedy="Install the extra `cpu` or `gpu` of this distribution.",
        ) from None
    on_stage("starting the engine")
    try:
        arguments = AsyncEngineArgs(model=str(base.resolve()), **engine_arguments(settings))
        engine = AsyncLLM.from_engine_args(arguments)
    except (RuntimeError, ValueError) as error:  # vLLM's own, for memory and for weights
        raise TrainingError(
            f"The writer's engine does not start ({type(error).__name__}); its log says why.",
            remedy="See writer.memory_utilization, writer.dtype and writer.max_lora_rank.",
        ) from error
    asked = VllmEngine(engine, adapter, decoding, most_tokens=settings.max_model_tokens)
    try:
        yield asked
    finally:
        engine.shutdown()
        asked.forget()
        del engine
        # Its parts refer to each other in a circle, and end badly when the interpreter does.
        gc.collect()


def engine_arguments(settings: WriterSettings) -> dict[str, Any]:
    """Return vLLM's arguments, the same as the service's."""
    return {
        "dtype": settings.dtype,
        "max_model_len": settings.max_model_tokens,
        "gpu_memory_utilization": settings.memory_utilization,
        "tensor_parallel_size": settings.tensor_parallel_size,
        "enable_lora": True,
        "max_loras": 2,
        "max_lora_rank": settings.max_lora_rank,
        "enable_prefix_caching": True,
        "enforce_eager": settings.accelerator is None,
    }


def check_adapter(base: Path, adapter: Path) -> tuple[str, str]:
    """Return the hashes of a base and of an adapter that belongs to it.

    Raises:
        CheckpointError: a folder is damaged, of another kind, or the adapter is another base's.
    """
    base_hash = base_sha256(base)
    manifest = verify_manifest(adapter, kind="writer_adapter")
    wanted = str(manifest.config.get("base_sha256"))
    if wanted != base_hash:
        raise CheckpointError(
            f"The adapter in {adapter} was trained on the base {wanted[:12]}, {base} holds "
            f"{base_hash[:12]}.",
            remedy="Name the base that the adapter's manifest tells.",
        )
    return base_hash, manifest.sha256


class VllmEngine:
    """Asks vLLM with one adapter, in plain values."""

    def __init__(self, engine: Any, adapter: Path, decoding: Decoding, *, most_tokens: int) -> None:
        from vllm.lora.request import LoRARequest

        self._engine, self._decoding, self._most_tokens = engine, decoding, most_tokens
        self._adapter = LoRARequest("adapter", 1, str(adapter.resolve()))
        self._numbers = itertools.count()

    async def answer(self, user: str, *, regex: str | None) -> str:
        """Return the answer, greedy unless the decoding says otherwise.

        Raises:
            RegistryError: the prompt is longer than the model takes.
            TrainingError: the engine ended.
        """
        from vllm import SamplingParams
        from vllm.sampling_params import RequestOutputKind, StructuredOutputsParams
        from vllm.v1.engine.exceptions import EngineDeadError

        prompt = prompt_ids(self._engine.get_tokenizer(), user)
        if len(prompt) >= self._most_tokens:
            raise RegistryError(
                f"The prompt of {len(prompt)} tokens is longer than the model takes "
                f"({self._most_tokens} with the answer).",
                remedy="Raise writer.max_model_tokens.",
            )
        sampling = SamplingParams(
            temperature=self._decoding.temperature,
            max_tokens=self._decoding.max_answer_tokens,
            structured_outputs=None if regex is None else StructuredOutputsParams(regex=regex),
            output_kind=RequestOutputKind.FINAL_ONLY,
        )
        try:
            async for output in self._engine.generate(
                {"prompt_token_ids": prompt},
                sampling,
                f"question-{next(self._numbers)}",
                lora_request=self._adapter,
            ):
                text = str(output.outputs[0].text)
        except EngineDeadError as error:
            raise TrainingError(
                "The writer's engine ended while it was asked.", remedy="See its log."
            ) from error
        return text

    def forget(self) -> None:
        """Let go of the engine, which has ended."""
        self._engine = None
