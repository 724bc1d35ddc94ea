"""The language model's engine: vLLM under `ray.serve.llm`, on the CPU or on GPUs by settings.

One deployment, `ReportEngine`, serves one base model and LoRA adapters from local folders. Each
question names its adapter and where that lies, so that a new adapter needs no restart.
`ray.serve.llm` takes adapters from cloud storage only; `LocalLoraLoader` here is the one place
that reaches into `ray.llm._internal` to take them from disk. It hands vLLM a private copy that was
checked, and the base is checked around its loading (`held_weights`). Messages go in and text comes
out as plain values, so that no caller has to import vLLM. This module does, with `ray.serve.llm`
(some ten seconds): import it where an engine is started, not before.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ray.llm._internal.common.callbacks.base import CallbackBase, CallbackConfig
from ray.llm._internal.serve.core.configs.llm_config import DiskMultiplexConfig
from ray.llm._internal.serve.utils.lora_serve_utils import LoraModelLoader
from ray.serve.llm import LLMConfig, build_llm_deployment
from ray.serve.llm.deployment import LLMServer
from ray.serve.llm.openai_api_models import ChatCompletionRequest

from pirta.contracts.release import Release
from pirta.errors import (
    CheckpointError,
    PirtaError,
    RegistryError,
    UnavailableError,
)
from pirta.models.writer_memory import ADAPTERS_AT_ONCE
from pirta.settings import Settings, WriterSettings
from serve_apps.engines import BASE_MODEL_ID
from serve_apps.held_weights import AdapterCopies, unchanged_base
from serve_apps.part_checks import check_checkpoint
from serve_apps.scaling import scaling_options

if TYPE_CHECKING:
    from ray.serve import Application

# The loader's `dynamic_lora_loading_path` must look like cloud storage; nothing is fetched from it.
_UNUSED_CLOUD_PATH = "s3://adapters-come-from-local-disk"
_BAD_REQUEST = 400
_ENGINE_ENVIRONMENT = {
    "VLLM_ALLOW_RUNTIME_LORA_UPDATING": "1",
    "VLLM_LOGGING_LEVEL": "WARNING",
    "VLLM_NO_USAGE_STATS": "1",
    "HF_HUB_OFFLINE": "1",
}
_ADAPTERS = "pirta_adapters"  # model id to folder and sha256
_BASE_SHA256 = "pirta_base_sha256"


class LocalLoraLoader(LoraModelLoader):  # type: ignore[misc]  # ray.llm ships no types
    """Takes an adapter from the local folder that `ReportEngine.answer` was told of."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._copies: AdapterCopies | None = None
        self._turn = asyncio.Lock()  # what is copied is copied once, and numbers are given once

    async def load_model_from_config(
        self, lora_model_id: str, llm_config: LLMConfig
    ) -> DiskMultiplexConfig:
        """Return where a checked copy of the adapter lies.

        Raises:
            CheckpointError: no question named the adapter, its folder holds another or a damaged
                one, or it is another base's.
        """
        async with self._turn:
            if lora_model_id not in self.disk_cache:
                local_path = await asyncio.to_thread(self._copy, lora_model_id, llm_config)
                self.disk_cache[lora_model_id] = DiskMultiplexConfig(
                    model_id=lora_model_id,
                    max_total_tokens=None,
                    local_path=str(local_path),
                    lora_assigned_int_id=len(self.disk_cache) + 1,
                )
            return self.disk_cache[lora_model_id]

    def _copy(self, lora_model_id: str, llm_config: LLMConfig) -> Path:
        known: dict[str, tuple[str, str]] = llm_config.experimental_configs[_ADAPTERS]
        if lora_model_id not in known:
            raise CheckpointError(
                f"The engine knows no adapter '{lora_model_id}', only "
                f"{', '.join(known) or 'none'}.",
                remedy="Ask with the adapter's folder beside its id.",
            )
        if self._copies is None:
            base_sha256 = llm_config.experimental_configs[_BASE_SHA256]
            self._copies = AdapterCopies(base_sha256=base_sha256)
        folder, sha256 = known[lora_model_id]
        return self._copies.copy_of(Path(folder), sha256=sha256)


class WeightsAreLocal(CallbackBase):  # type: ignore[misc]  # ray.llm ships no types
    """Leaves out the engine's download step, which would load vLLM in one process more."""

    async def on_before_node_init(self) -> None:
        """Tell the engine that there is nothing to fetch."""
        self.ctx.run_init_node = False


class ReportEngine(LLMServer):
    """`LLMServer` that checks what it loads, and gives a constrained answer in plain values."""

    async def start(self) -> None:
        """Start the engine on the base that the release names (the name is `LLMServer`'s).

        Raises:
            CheckpointError: the base's folder holds another, before the loading or after.
        """
        config = self._llm_config
        folder = Path(config.model_loading_config.model_source)
        with unchanged_base(folder, sha256=config.experimental_configs[_BASE_SHA256]):
            await super().start()

    async def answer(
        self,
        messages: list[dict[str, str]],
        *,
        model_id: str,
        adapter_path: str,
        adapter_sha256: str,
        regex: str,
        max_tokens: int,
        temperature: float,
    ) -> str:
        """Return the model's answer with an adapter, in the form of `regex`.

        Raises:
            CheckpointError: the adapter's folder cannot be used, or holds another one.
            RegistryError: the prompt is longer than the model takes.
            UnavailableError: the engine answered with another error of its own.
        """
        known = self._llm_config.experimental_configs[_ADAPTERS]
        known[model_id] = (adapter_path, adapter_sha256)
        request = ChatCompletionRequest(
            model=model_id,
            messages=messages,
            temperature=temperature,
            max_completion_tokens=max_tokens,
            structured_outputs={"regex": regex},
        )
        async for response in await self.chat(request):
            if hasattr(response, "choices"):
                return str(response.choices[0].message.content)
            # The engine's own words may quote the prompt, so only its code is passed on.
            raise refusal(int(response.error.code))
        raise UnavailableError("The language model gave no answer.", remedy="Try again.")


def refusal(http_status: int) -> PirtaError:
    """Return what the engine's own refusal means to the caller."""
    if http_status == _BAD_REQUEST:  # what a caller can change of a prompt is its length
        return RegistryError(
            "The registry row and the retrieved findings are longer than the language model takes.",
            remedy="Shorten presentation or history, or raise writer.max_model_tokens.",
        )
    return UnavailableError(
        f"The language model refused the request ({http_status}).",
        remedy="Try again; see its log if it goes on.",
    )


def build_engine(settings: Settings, release: Release) -> Application:
    """Return the engine's deployment for the base of a release.

    Raises:
        ReleaseError: the base's folder cannot be used, or holds another base.
    """
    path = check_checkpoint(release, "writer_base")
    return build_llm_deployment(
        engine_config(settings, base_path=path, base_sha256=release.writer_base_sha256),
        deployment_cls=ReportEngine,
        name_prefix="Engine:",
        bind_kwargs={"model_downloader": LocalLoraLoader},
    )


def engine_config(settings: Settings, *, base_path: Path, base_sha256: str) -> LLMConfig:
    """Return the engine's configuration for `ray.serve.llm`."""
    writer = settings.writer
    return LLMConfig(
        model_loading_config={
            "model_id": BASE_MODEL_ID,
            "model_source": str(base_path.resolve()),
        },
        engine_kwargs=engine_kwargs(writer),
        lora_config={"dynamic_lora_loading_path": _UNUSED_CLOUD_PATH},
        callback_config=CallbackConfig(callback_class=WeightsAreLocal),
        experimental_configs={_ADAPTERS: {}, _BASE_SHA256: base_sha256},
        deployment_config={
            **scaling_options(settings.scaling.engine, settings, with_actor_options=False),
            "ray_actor_options": {"num_cpus": 0},
            "health_check_timeout_s": 30,
        },
        runtime_env={"env_vars": _ENGINE_ENVIRONMENT},
        log_engine_metrics=True,
        **hardware(settings),
    )


def engine_kwargs(writer: WriterSettings) -> dict[str, Any]:
    """Return vLLM's arguments; on the CPU `gpu_memory_utilization` is the share of memory."""
    return {
        "dtype": writer.dtype,
        "max_model_len": writer.max_model_tokens,
        "gpu_memory_utilization": writer.memory_utilization,
        "tensor_parallel_size": writer.tensor_parallel_size,
        "enable_lora": True,
        "max_loras": ADAPTERS_AT_ONCE,
        "max_lora_rank": writer.max_lora_rank,
        "enable_prefix_caching": True,
        # Compiling pays off on a GPU only.
        "enforce_eager": writer.accelerator is None,
    }


def hardware(settings: Settings) -> dict[str, Any]:
    """Return where an engine replica runs: CPU bundles, or GPUs of the accelerator type."""
    writer = settings.writer
    if writer.accelerator is not None:
        return {"accelerator_type": writer.accelerator}
    # Neither this nor an accelerator type would mean GPU to ray.serve.llm.
    cpus = max(settings.scaling.engine.num_cpus, 0.1)
    return {"placement_group_config": {"bundles": [{"CPU": cpus}]}}
