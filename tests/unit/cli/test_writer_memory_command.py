"""`pirta writer-memory`: the counts for a folder, and an error where the share is too small."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from pirta.errors import CheckpointError, MemoryShortError
from pirta_cli.main import app
from tests.unit.models.llama_3 import write_config


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Llama-3-8B's folder without weights, and settings for one H100."""
    monkeypatch.setenv("PIRTA_WRITER__DTYPE", "bfloat16")
    monkeypatch.setenv("PIRTA_WRITER__ACCELERATOR", "H100")
    return write_config(tmp_path / "llama")


def ask(base: Path, *words: str) -> Result:
    return CliRunner().invoke(app, ["writer-memory", "--base", str(base), *words])


def test_llama_3_8b_is_counted_from_its_config_alone(base: Path) -> None:
    result = ask(base)
    assert result.exit_code == 0
    first, serve, lora, qlora = result.output.splitlines()
    assert first.endswith("8.030 billion weights")
    assert "weights 14.96 GiB" in serve  # 16.06 GB
    assert "cache 4.00 GiB (32 x 1024 tokens of 128 KiB)" in serve
    assert "weights 14.96 GiB" in lora
    assert "weights 5.31 GiB" in qlora


def test_a_share_that_is_too_small_ends_with_the_share_that_is_not(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = ask(base, "--memory-gib", "80")
    assert isinstance(result.exception, MemoryShortError)
    assert "0.20 or more" in result.exception.remedy
    monkeypatch.setenv("PIRTA_WRITER__MEMORY_UTILIZATION", "0.2")
    assert "is enough" in ask(base, "--memory-gib", "80").output


def test_the_shipped_base_is_held_against_this_machines_memory() -> None:
    result = CliRunner().invoke(app, ["writer-memory"])
    assert "0.003 billion weights" in result.output
    assert "is enough" in result.output


def test_a_folder_without_a_model_is_named(tmp_path: Path) -> None:
    result = ask(tmp_path)
    assert isinstance(result.exception, CheckpointError)
    assert str(tmp_path) in result.exception.message
