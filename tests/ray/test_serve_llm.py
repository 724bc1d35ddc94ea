"""The engine's configuration: one code path, the CPU or GPUs by one setting."""

from __future__ import annotations

import importlib
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from pirta.errors import CheckpointError, RegistryError, ReleaseError, UnavailableError
from pirta.models.checkpoint import read_manifest, verify_manifest
from pirta.settings import SHIPPED_WEIGHTS, Settings, WriterSettings
from serve_apps.engines import adapter_model_id
from serve_apps.part_checks import check_checkpoint
from tests.unit.serve_apps.releases import release_of

SHIPPED_BASE_SHA256 = read_manifest(SHIPPED_WEIGHTS / "writer_base").sha256
ADAPTER = SHIPPED_WEIGHTS / "writer_adapter"
ADAPTER_SHA256 = read_manifest(ADAPTER).sha256
ADAPTER_ID = adapter_model_id(ADAPTER_SHA256)


@pytest.fixture(scope="module")
def llm() -> ModuleType:
    """The module under test: vLLM and torch warn of their own past when they are imported."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return importlib.import_module("serve_apps.llm")


@pytest.fixture(scope="module")
def config_of(llm: ModuleType) -> Callable[..., Any]:
    def config(**writer: object) -> Any:
        settings = Settings(writer=WriterSettings.model_validate(writer))
        return llm.engine_config(
            settings, base_path=settings.writer.base_path, base_sha256=SHIPPED_BASE_SHA256
        )

    return config


def test_without_an_accelerator_the_engine_asks_for_no_gpu(config_of: Any) -> None:
    config = config_of()
    assert config.accelerator_config.kind == "cpu"
    assert "GPU" not in config.placement_group_config["bundles"][0]
    assert config.engine_kwargs["enforce_eager"] is True


def test_with_an_accelerator_the_engine_runs_on_its_gpus(config_of: Any) -> None:
    config = config_of(accelerator="H100", tensor_parallel_size=2, dtype="bfloat16")
    assert config.accelerator_config.kind == "gpu"
    assert config.accelerator_type == "H100"
    assert config.placement_group_config is None
    assert config.engine_kwargs["tensor_parallel_size"] == 2
    assert config.engine_kwargs["enforce_eager"] is False


def test_the_engine_is_bounded_although_ray_llms_defaults_are_not(config_of: Any) -> None:
    options = config_of().deployment_config
    assert options["max_ongoing_requests"] < 1e6
    assert options["autoscaling_config"]["target_ongoing_requests"] < 1e6
    assert options["graceful_shutdown_timeout_s"] > Settings().writer.timeout_s


async def test_the_engine_reads_a_checked_copy_of_an_adapter_that_a_question_named(
    llm: Any, config_of: Any, tmp_path: Path
) -> None:
    config, loader = config_of(), llm.LocalLoraLoader()
    known = config.experimental_configs["pirta_adapters"]
    folder = tmp_path / "adapter"
    shutil.copytree(ADAPTER, folder)
    known[ADAPTER_ID] = (str(folder), ADAPTER_SHA256)
    found = await loader.load_model_from_config(ADAPTER_ID, config)
    assert found.model_id == ADAPTER_ID
    assert Path(found.local_path) != folder
    (folder / "adapter_model.safetensors").write_bytes(b"swapped after the check")
    assert verify_manifest(Path(found.local_path), kind="writer_adapter").sha256 == ADAPTER_SHA256
    assert await loader.load_model_from_config(ADAPTER_ID, config) == found
    with pytest.raises(CheckpointError, match="report:other"):
        await loader.load_model_from_config("report:other", config)
    known["report:again"] = (str(folder), ADAPTER_SHA256)
    with pytest.raises(CheckpointError, match="sha256"):
        await llm.LocalLoraLoader().load_model_from_config("report:again", config)


async def test_an_engine_does_not_start_on_a_base_that_is_changed_while_it_loads(
    llm: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = tmp_path / "base"
    shutil.copytree(SHIPPED_WEIGHTS / "writer_base", base)
    config = llm.engine_config(Settings(), base_path=base, base_sha256=SHIPPED_BASE_SHA256)

    async def swap(self: object) -> None:
        del self
        with (base / "model.safetensors").open("ab") as stream:
            stream.write(b"x")

    monkeypatch.setattr(llm.LLMServer, "start", swap)
    engine = unserved_engine(llm).sync_init(config, model_downloader=llm.LocalLoraLoader)
    for _ in range(2):  # found after the loading, and by another start before it
        with pytest.raises(CheckpointError, match=r"model\.safetensors"):
            await engine.start()


def unserved_engine(llm: Any) -> Any:
    """Return the engine's class for where no Serve awaits its `__del__`, a coroutine there."""
    return type("UnservedEngine", (llm.ReportEngine,), {"__del__": lambda _: None})


def test_two_adapters_may_answer_in_one_batch(config_of: Any) -> None:
    assert config_of().engine_kwargs["max_loras"] == 2


def test_a_base_that_is_none_or_another_than_the_releases_is_refused(
    llm: Any, tmp_path: Path
) -> None:
    with pytest.raises(ReleaseError, match=r"manifest\.json is missing"):
        llm.build_engine(Settings(), release_of(writer_base_path=str(tmp_path)))
    shipped = str(Settings().writer.base_path)
    with pytest.raises(ReleaseError, match="bbbbbbbbbbbb"):
        llm.build_engine(Settings(), release_of(writer_base_path=shipped))


def test_an_adapter_that_is_none_or_another_than_the_releases_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ReleaseError, match=r"manifest\.json is missing"):
        check_checkpoint(release_of(writer_adapter_path=str(tmp_path)), "writer_adapter")
    shipped = str(Settings().writer.adapter_path)
    with pytest.raises(ReleaseError, match="aaaaaaaaaaaa"):
        check_checkpoint(release_of(writer_adapter_path=shipped), "writer_adapter")


def test_a_prompt_that_is_too_long_is_the_callers_to_mend_and_the_rest_is_not(llm: Any) -> None:
    assert isinstance(llm.refusal(400), RegistryError)
    assert isinstance(llm.refusal(500), UnavailableError)
