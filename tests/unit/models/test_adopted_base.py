"""A downloaded Llama as a base of ours: what is taken, what is refused, and with which words."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pirta.errors import CheckpointError
from pirta.models.adopted_base import adopt_base
from pirta.models.checkpoint import MANIFEST_NAME, verify_manifest
from tests.unit.models import llama_3

SOURCE = "meta-llama/Meta-Llama-3-8B-Instruct @ 5f0b02c"


@pytest.fixture
def downloaded(tmp_path: Path) -> Path:
    """A folder as transformers lays one out; its weights are a few bytes."""
    folder = llama_3.write_config(tmp_path / "base")
    (folder / "model-00001-of-00002.safetensors").write_bytes(b"weights, first part")
    (folder / "model-00002-of-00002.safetensors").write_bytes(b"weights, second part")
    tokenizer = {"chat_template": "{{ messages }}"}
    (folder / "tokenizer_config.json").write_text(json.dumps(tokenizer), encoding="utf-8")
    return folder


def test_a_downloaded_base_gets_a_manifest_that_holds(downloaded: Path) -> None:
    made = adopt_base(downloaded, source=SOURCE)
    assert verify_manifest(downloaded, kind="writer_base") == made
    assert set(made.files) == {
        "config.json",
        "model-00001-of-00002.safetensors",
        "model-00002-of-00002.safetensors",
        "tokenizer_config.json",
    }
    assert made.run == {"source": SOURCE}
    assert made.config["num_hidden_layers"] == llama_3.CONFIG["num_hidden_layers"]


def test_a_second_time_the_manifest_stays_and_the_files_are_checked(downloaded: Path) -> None:
    made = adopt_base(downloaded, source=SOURCE)
    assert adopt_base(downloaded, source="another name") == made
    (downloaded / "model-00002-of-00002.safetensors").write_bytes(b"weights, swapped")
    with pytest.raises(CheckpointError, match=r"model-00002-of-00002\.safetensors.*sha256"):
        adopt_base(downloaded, source=SOURCE)


@pytest.mark.parametrize(
    ("gone", "told"),
    [
        ("config.json", "config.json"),
        ("tokenizer_config.json", "no chat template"),
        ("*.safetensors", "no weights"),
    ],
)
def test_what_lacks_a_part_is_refused_and_stays_as_it_was(
    downloaded: Path, gone: str, told: str
) -> None:
    for path in downloaded.glob(gone):
        path.unlink()
    with pytest.raises(CheckpointError, match=told):
        adopt_base(downloaded, source=SOURCE)
    assert not (downloaded / MANIFEST_NAME).exists()


def test_a_template_in_a_file_of_its_own_counts(downloaded: Path) -> None:
    (downloaded / "tokenizer_config.json").write_text("{}", encoding="utf-8")
    with pytest.raises(CheckpointError, match="not an instruction-tuned model"):
        adopt_base(downloaded, source=SOURCE)
    (downloaded / "chat_template.jinja").write_text("{{ messages }}", encoding="utf-8")
    assert "chat_template.jinja" in adopt_base(downloaded, source=SOURCE).files


def test_weights_in_a_format_that_can_run_code_are_refused_by_name(downloaded: Path) -> None:
    (downloaded / "original").mkdir()
    (downloaded / "original" / "consolidated.00.pth").write_bytes(b"pickle")
    with pytest.raises(CheckpointError, match=r"original/consolidated\.00\.pth"):
        adopt_base(downloaded, source=SOURCE)
