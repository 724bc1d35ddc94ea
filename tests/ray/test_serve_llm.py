"""The engine's configuration: one code path, the CPU or GPUs by one setting."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pirta.errors import CheckpointError, RegistryError, UnavailableError
from pirta.settings import Settings, WriterSettings
from serve_apps.llm import (
    LocalLoraLoader,
    adapter_model_id,
    build_engine,
    engine_config,
    refusal,
)

ADAPTER = adapter_model_id("a" * 64)


def config_of(**writer: object) -> Any:
    return engine_config(Settings(writer=WriterSettings.model_validate(writer)), adapter_id=ADAPTER)


def test_without_an_accelerator_the_engine_asks_for_no_gpu() -> None:
    config = config_of()
    assert config.accelerator_config.kind == "cpu"
    assert "GPU" not in config.placement_group_config["bundles"][0]
    assert config.engine_kwargs["enforce_eager"] is True


def test_with_an_accelerator_the_engine_runs_on_its_gpus() -> None:
    config = config_of(accelerator="H100", tensor_parallel_size=2, dtype="bfloat16")
    assert config.accelerator_config.kind == "gpu"
    assert config.accelerator_type == "H100"
    assert config.placement_group_config is None
    assert config.engine_kwargs["tensor_parallel_size"] == 2
    assert config.engine_kwargs["enforce_eager"] is False


def test_the_engine_is_bounded_although_ray_llms_defaults_are_not() -> None:
    options = config_of().deployment_config
    assert options["max_ongoing_requests"] < 1e6
    assert options["autoscaling_config"]["target_ongoing_requests"] < 1e6
    assert options["graceful_shutdown_timeout_s"] > Settings().writer.timeout_s


async def test_an_adapter_is_found_where_the_settings_say_and_no_other(tmp_path: Path) -> None:
    config, loader = config_of(adapter_path=tmp_path), LocalLoraLoader()
    found = await loader.load_model_from_config(ADAPTER, config)
    assert (found.model_id, found.local_path) == (ADAPTER, str(tmp_path))
    assert await loader.load_model_from_config(ADAPTER, config) == found
    with pytest.raises(CheckpointError, match="report:other"):
        await loader.load_model_from_config("report:other", config)


def test_a_folder_that_is_no_model_is_refused_by_its_role(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="base model"):
        build_engine(Settings(writer=WriterSettings(base_path=tmp_path)), adapter_id=ADAPTER)
    (tmp_path / "config.json").write_text("{}")
    writer = WriterSettings(base_path=tmp_path, adapter_path=tmp_path)
    with pytest.raises(CheckpointError, match="adapter"):
        build_engine(Settings(writer=writer), adapter_id=ADAPTER)


def test_a_prompt_that_is_too_long_is_the_callers_to_mend_and_the_rest_is_not() -> None:
    assert isinstance(refusal(400), RegistryError)
    assert isinstance(refusal(500), UnavailableError)
