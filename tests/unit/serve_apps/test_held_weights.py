"""What an engine reads is what was checked, whatever happens to the folder meanwhile."""

from __future__ import annotations

import gc
import shutil
from pathlib import Path

import pytest

from pirta.errors import CheckpointError, ReleaseError
from pirta.models.checkpoint import read_manifest, verify_manifest, write_manifest
from serve_apps.held_weights import AdapterCopies, check_weights, unchanged_base
from serve_apps.part_checks import check_checkpoint
from serve_apps.writer import AnswerLoader
from tests.unit.serve_apps.releases import release_of

BASE = "b" * 64


def checkpoint(folder: Path, kind: str, content: bytes = b"weights", **config: object) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.safetensors").write_bytes(content)
    return write_manifest(
        folder,
        kind=kind,
        config=config,
        run={},
        data_sha256="d" * 64,
        preprocessing_fingerprint=None,
        metrics={},
        command="none",
    ).sha256


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "adapter"


@pytest.fixture
def sha256(folder: Path) -> str:
    return checkpoint(folder, "writer_adapter", base_sha256=BASE)


def test_an_adapter_that_is_swapped_after_its_copy_was_checked_is_not_read(
    folder: Path, sha256: str
) -> None:
    copies = AdapterCopies(base_sha256=BASE)
    held = copies.copy_of(folder, sha256=sha256)
    checkpoint(folder, "writer_adapter", b"other weights", base_sha256=BASE)
    assert copies.copy_of(folder, sha256=sha256) == held
    assert (held / "model.safetensors").read_bytes() == b"weights"
    assert held.stat().st_mode & 0o077 == 0


def test_an_adapter_that_is_swapped_between_the_first_check_and_the_copy_is_refused(
    folder: Path, sha256: str
) -> None:
    copies = AdapterCopies(base_sha256=BASE)
    check_weights(folder, kind="writer_adapter", sha256=sha256)
    other = checkpoint(folder, "writer_adapter", b"other weights", base_sha256=BASE)
    with pytest.raises(CheckpointError, match=f"is {other[:12]}, wanted is {sha256[:12]}"):
        copies.copy_of(folder, sha256=sha256)


def test_an_adapter_whose_file_changes_while_it_is_copied_is_refused(
    folder: Path, sha256: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = shutil.copyfile

    def copy_and_swap(source: Path, to: Path) -> object:
        if Path(source).name == "model.safetensors":
            Path(source).write_bytes(b"other weights")
        return copy(source, to)

    monkeypatch.setattr(shutil, "copyfile", copy_and_swap)
    copies = AdapterCopies(base_sha256=BASE)
    with pytest.raises(CheckpointError, match=r"model\.safetensors"):
        copies.copy_of(folder, sha256=sha256)
    monkeypatch.undo()
    (folder / "model.safetensors").write_bytes(b"weights")
    assert verify_manifest(copies.copy_of(folder, sha256=sha256), kind="writer_adapter")


def test_files_that_no_manifest_names_are_not_copied(folder: Path, sha256: str) -> None:
    (folder / "adapter_model.bin").write_bytes(b"a pickle")
    copies = AdapterCopies(base_sha256=BASE)
    held = copies.copy_of(folder, sha256=sha256)
    assert sorted(path.name for path in held.iterdir()) == ["manifest.json", "model.safetensors"]


def test_a_manifest_cannot_name_a_file_outside_its_folder(folder: Path, sha256: str) -> None:
    manifest = read_manifest(folder)
    files = {"../model.safetensors": manifest.files["model.safetensors"]}
    changed = manifest.model_copy(update={"files": files})
    (folder / "manifest.json").write_text(changed.model_dump_json())
    with pytest.raises(CheckpointError, match="outside its folder"):
        AdapterCopies(base_sha256=BASE).copy_of(folder, sha256=sha256)


def test_an_adapter_of_another_base_is_refused_by_name(folder: Path, sha256: str) -> None:
    with pytest.raises(CheckpointError, match="trained on the base bbbbbbbbbbbb, not on cccccc"):
        AdapterCopies(base_sha256="c" * 64).copy_of(folder, sha256=sha256)


def test_a_release_whose_adapter_is_of_another_base_is_refused_by_each_replica(
    folder: Path, sha256: str
) -> None:
    parts: dict[str, object] = {
        "writer_adapter_path": str(folder), "writer_adapter_sha256": sha256,
    }  # fmt: skip
    assert check_checkpoint(release_of(**parts), "writer_adapter") == folder
    wrong = release_of(**parts, writer_base_sha256="c" * 64)
    with pytest.raises(ReleaseError, match="trained on the base bbbbbbbbbbbb"):
        check_checkpoint(wrong, "writer_adapter")


def test_a_writer_replica_refuses_such_a_release_before_it_asks_an_engine(
    folder: Path, sha256: str
) -> None:
    class NoControl:
        def __getattr__(self, name: str) -> object:
            raise AssertionError(f"the control was asked for {name}")

    wrong = release_of(
        writer_adapter_path=str(folder),
        writer_adapter_sha256=sha256,
        writer_base_sha256="c" * 64,
    )
    loader = AnswerLoader(NoControl(), timeout_s=1.0)  # type: ignore[arg-type]
    with pytest.raises(ReleaseError, match="trained on the base bbbbbbbbbbbb"):
        loader.load(wrong, ())


def test_an_adapter_that_names_no_base_is_refused(folder: Path) -> None:
    sha256 = checkpoint(folder, "writer_adapter")
    with pytest.raises(CheckpointError, match="trained on the base None"):
        AdapterCopies(base_sha256=BASE).copy_of(folder, sha256=sha256)


def test_the_copies_go_with_the_object_that_made_them(folder: Path, sha256: str) -> None:
    copies = AdapterCopies(base_sha256=BASE)
    held = copies.copy_of(folder, sha256=sha256)
    assert held.is_dir()
    del copies
    gc.collect()
    assert not held.parent.exists()


@pytest.mark.parametrize("when", ["before", "while", "never"])
def test_a_base_that_changes_before_or_while_it_is_read_is_found(tmp_path: Path, when: str) -> None:
    base = tmp_path / "base"
    sha256 = checkpoint(base, "writer_base")
    read = []

    def swap() -> None:
        checkpoint(base, "writer_base", b"other weights")

    def use() -> None:
        if when == "before":
            swap()
        with unchanged_base(base, sha256=sha256):
            read.append("the base")
            if when == "while":
                swap()

    if when == "never":
        use()
    else:
        with pytest.raises(CheckpointError, match=f"wanted is {sha256[:12]}"):
            use()
    assert read == ([] if when == "before" else ["the base"])
