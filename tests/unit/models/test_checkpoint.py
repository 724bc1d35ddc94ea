"""Checkpoint manifests: a whole checkpoint passes, any damage is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from pirta.errors import CheckpointError
from pirta.models.checkpoint import (
    CheckpointManifest,
    current_commit,
    file_sha256,
    verify_manifest,
    write_manifest,
)


def _write(folder: Path, kind: str = "encoder") -> CheckpointManifest:
    (folder / "sub").mkdir(parents=True, exist_ok=True)
    (folder / "model.safetensors").write_bytes(b"weights")
    (folder / "sub" / "tokenizer.json").write_bytes(b"{}")
    return write_manifest(
        folder,
        kind=kind,
        config={"sides": (1, 2)},
        run={"name": "tiny"},
        data_sha256="d",
        preprocessing_fingerprint=None,
        metrics={"loss": 0.5},
        command="python -m train_jobs.train_mae --run tiny",
    )


def test_a_written_manifest_verifies_and_keeps_its_sha256(tmp_path: Path) -> None:
    written = _write(tmp_path)
    read = verify_manifest(tmp_path, kind="encoder")
    assert read.sha256 == written.sha256
    assert set(read.files) == {"model.safetensors", "sub/tokenizer.json"}


def test_the_sha256_changes_with_a_file(tmp_path: Path) -> None:
    before = _write(tmp_path / "a").sha256
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "model.safetensors").write_bytes(b"others")
    after = write_manifest(
        tmp_path / "b",
        kind="encoder",
        config={},
        run={},
        data_sha256="d",
        preprocessing_fingerprint=None,
        metrics={},
        command="",
    )
    assert after.sha256 != before


def test_writing_again_replaces_the_manifest_and_leaves_no_other_file(tmp_path: Path) -> None:
    _write(tmp_path)
    _write(tmp_path)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"model.safetensors", "sub", "manifest.json"}


def test_a_changed_file_is_named(tmp_path: Path) -> None:
    _write(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"weightz")
    with pytest.raises(CheckpointError, match=r"model\.safetensors"):
        verify_manifest(tmp_path, kind="encoder")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    _write(tmp_path)
    (tmp_path / "sub" / "tokenizer.json").unlink()
    with pytest.raises(CheckpointError, match=r"lacks its file 'sub/tokenizer\.json'"):
        verify_manifest(tmp_path, kind="encoder")


def test_another_kind_is_refused(tmp_path: Path) -> None:
    _write(tmp_path, kind="mae")
    with pytest.raises(CheckpointError, match="'mae', not 'encoder'"):
        verify_manifest(tmp_path, kind="encoder")


def test_a_missing_manifest_is_said(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="missing"):
        verify_manifest(tmp_path, kind="encoder")


@pytest.mark.parametrize("content", ["", "{", "[]", '{"kind": "encoder"}'])
def test_a_damaged_manifest_is_said(tmp_path: Path, content: str) -> None:
    (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(CheckpointError, match="not a checkpoint manifest"):
        verify_manifest(tmp_path, kind="encoder")


def test_a_pickle_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.pt").write_bytes(b"")
    with pytest.raises(CheckpointError, match=r"model\.pt"):
        _write(tmp_path)


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="holds no files"):
        write_manifest(
            tmp_path,
            kind="mae",
            config={},
            run={},
            data_sha256="",
            preprocessing_fingerprint=None,
            metrics={},
            command="",
        )


def test_the_hash_of_no_bytes_is_the_known_one(tmp_path: Path) -> None:
    (tmp_path / "empty").write_bytes(b"")
    assert file_sha256(tmp_path / "empty").startswith("e3b0c44298fc1c14")


def test_outside_git_the_commit_is_unknown(tmp_path: Path) -> None:
    assert current_commit(tmp_path) == "unknown"
