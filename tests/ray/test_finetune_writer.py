"""Both writer jobs on Ray Train: files that load, a kill that changes nothing, clear refusals."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import ray
from safetensors.torch import load_file

from pirta.errors import CheckpointError, TrainingError
from pirta.models.checkpoint import verify_manifest
from pirta.pipelines.local_ray import start_local_ray
from train_jobs import finetune_writer, writer_loop
from train_jobs.finetune_writer import finetune
from train_jobs.launch import launch
from train_jobs.train_writer_base import train_base
from train_jobs.writer_folder import base_sha256, read_json
from train_jobs.writer_presets import LORA_TARGETS, adapter_tiny, base_tiny

pytestmark = [
    pytest.mark.ray,
    # Ray's own: it copies its Data settings, deprecated ones too, and forgets pipes and sockets.
    pytest.mark.filterwarnings("ignore::DeprecationWarning:ray"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[None]:
    start_local_ray(4)
    yield
    ray.shutdown()


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("base")
    train_base(base_tiny(), run_dir=folder / "run", to=folder / "model")
    return folder / "model"


@pytest.fixture(scope="module")
def adapter(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("adapter")
    finetune(adapter_tiny(), base=base, run_dir=folder / "run", to=folder / "adapter")
    return folder / "adapter"


def loop_that_is_killed_once(config: dict[str, Any]) -> None:
    """The job's own loop, whose process ends without a word in step 5 of its first life."""
    marker = Path(config["run_dir"]) / "killed"
    make_batch, calls = writer_loop.batch_of, 0

    def counted(*args: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 5 and not marker.exists():
            marker.touch()
            os._exit(1)
        return make_batch(*args, **named)

    writer_loop.batch_of = counted
    finetune_writer.train_loop(config)


def test_the_base_is_a_llama_with_its_tokenizer_and_a_manifest(base: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    manifest = verify_manifest(base, kind="writer_base")
    assert manifest.run["name"] == "tiny"
    assert manifest.metrics["num_weights"] > 0
    assert set(manifest.files) >= {"model.safetensors", "tokenizer.json", "config.json"}
    model = AutoModelForCausalLM.from_pretrained(base, local_files_only=True)
    tokenizer = AutoTokenizer.from_pretrained(base, local_files_only=True)
    assert model.config.model_type == "llama"
    assert len(tokenizer) <= model.config.vocab_size
    assert "<|start_header_id|>" in tokenizer.chat_template


def test_the_adapter_loads_on_its_base_and_names_no_path(base: Path, adapter: Path) -> None:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    manifest = verify_manifest(adapter, kind="writer_adapter")
    config = read_json(adapter / "adapter_config.json")
    assert config["base_model_name_or_path"] == "writer_base"
    assert config["target_modules"] == sorted(LORA_TARGETS)
    assert manifest.config["base_sha256"] == base_sha256(base)
    assert not any(str(base.parent) in path.read_text() for path in adapter.glob("*.json"))
    assert {"in_form", "equals_truth", "in_form_without_adapter"} <= set(manifest.metrics)
    model = AutoModelForCausalLM.from_pretrained(base, local_files_only=True)
    assert PeftModel.from_pretrained(model, adapter).peft_config["default"].r == 4


def test_a_worker_killed_on_its_way_ends_with_the_same_weights(
    base: Path, adapter: Path, tmp_path: Path
) -> None:
    run = adapter_tiny()
    config = {
        "run": run.model_dump(mode="json"),
        "run_dir": str(tmp_path / "run"),
        "base": str(base),
        "base_sha256": base_sha256(base),
        "prompts": None,
    }
    result = launch(
        loop_that_is_killed_once,
        config,
        run_dir=tmp_path / "run",
        name="writer_adapter",
        num_workers=1,
        use_gpu=False,
        resume=True,
    )
    assert (tmp_path / "run" / "killed").exists()
    assert result.checkpoint is not None
    model = finetune_writer.build_model(run, base)
    with result.checkpoint.as_directory() as folder:
        assert writer_loop.load_weights(model, Path(folder)) == 6
    unbroken = load_file(adapter / "adapter_model.safetensors")
    resumed = {
        name.replace(".default", ""): value for name, value in writer_loop.trainable(model).items()
    }
    assert set(resumed) == set(unbroken)
    for name, value in unbroken.items():
        assert resumed[name].detach().equal(value), name


def test_a_damaged_base_is_refused_before_training(base: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged"
    damaged.mkdir()
    for path in base.iterdir():
        (damaged / path.name).write_bytes(path.read_bytes())
    (damaged / "config.json").write_text("{}")
    with pytest.raises(CheckpointError, match=r"config\.json"):
        finetune(adapter_tiny(), base=damaged, run_dir=tmp_path / "run", to=tmp_path / "to")
    assert not (tmp_path / "run").exists()


def test_a_folder_with_other_things_is_not_overwritten(base: Path, tmp_path: Path) -> None:
    (tmp_path / "to").mkdir()
    (tmp_path / "to" / "thesis.txt").write_text("mine")
    with pytest.raises(TrainingError, match="holds no checkpoint"):
        finetune(adapter_tiny(), base=base, run_dir=tmp_path / "run", to=tmp_path / "to")
    assert (tmp_path / "to" / "thesis.txt").read_text() == "mine"
    assert not (tmp_path / "run").exists()
