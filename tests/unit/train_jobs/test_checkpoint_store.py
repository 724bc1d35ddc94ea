"""Checkpoints on a disk and on an object store's stand-in: whole, or not there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from pirta.errors import CheckpointError, StoreError
from train_jobs.checkpoint_store import CheckpointStore


@pytest.fixture(params=["disk", "memory"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A place for checkpoints: files that are renamed, or objects that appear whole."""
    if request.param == "disk":
        yield str(tmp_path / "checkpoints")
        return
    yield "memory://checkpoints"
    memory = fsspec.filesystem("memory")
    if memory.exists("/checkpoints"):
        memory.rm("/checkpoints", recursive=True)


def _folder(tmp_path: Path, text: str) -> Path:
    folder = tmp_path / f"state-{text}"
    folder.mkdir()
    (folder / "model.safetensors").write_text(text)
    (folder / "step.json").write_text("{}")
    return folder


def _steps(store: CheckpointStore) -> list[int]:
    return [one.step for one in store.complete()]


def test_what_is_published_comes_back(root: str, tmp_path: Path) -> None:
    store = CheckpointStore(root)
    assert store.latest() is None
    store.publish(_folder(tmp_path, "a"), step=3, figures={"val": 0.5})
    latest = store.latest()
    assert latest is not None
    assert (latest.step, latest.figures) == (3, {"val": 0.5})
    into = tmp_path / "into"
    into.mkdir()
    store.fetch(latest, into)
    assert (into / "model.safetensors").read_text() == "a"


@pytest.mark.parametrize(("lowest", "kept"), [(False, [2, 4]), (True, [1, 4])])
def test_the_last_and_the_best_are_kept(
    root: str, tmp_path: Path, lowest: bool, kept: list[int]
) -> None:
    store = CheckpointStore(root, best_by="val", lowest=lowest, num_last=1)
    for step, value in enumerate((0.1, 0.9, 0.5, float("nan")), start=1):
        store.publish(_folder(tmp_path, str(step)), step=step, figures={"val": value})
    assert _steps(store) == kept
    best = store.best()
    assert best is not None
    assert best.step == kept[0]


def test_of_equal_figures_the_later_is_the_best_and_without_a_figure_none_is(
    root: str, tmp_path: Path
) -> None:
    store = CheckpointStore(root, best_by="val", num_last=1)
    for step in (1, 2, 3):
        figures = {"val": 1.0} if step < 3 else {}
        store.publish(_folder(tmp_path, str(step)), step=step, figures=figures)
    assert _steps(store) == [2, 3]
    assert CheckpointStore(root).best() is None


def test_a_folder_without_its_mark_is_no_checkpoint(root: str, tmp_path: Path) -> None:
    store = CheckpointStore(root)
    store.publish(_folder(tmp_path, "1"), step=1, figures={})
    store.publish(_folder(tmp_path, "2"), step=2, figures={})
    filesystem, inside = fsspec.core.url_to_fs(root)
    filesystem.rm(f"{inside}/step-00000002/complete.json")
    assert _steps(store) == [1]


def test_a_damaged_checkpoint_is_named_with_its_remedy(tmp_path: Path) -> None:
    store = CheckpointStore(str(tmp_path / "checkpoints"))
    name = store.publish(_folder(tmp_path, "a"), step=1, figures={})
    into = tmp_path / "into"
    into.mkdir()
    latest = store.latest()
    assert latest is not None
    (tmp_path / "checkpoints" / name / "model.safetensors").write_text("b")
    with pytest.raises(CheckpointError, match=r"step-00000001.*another sha256.*Remove"):
        store.fetch(latest, into)
    (tmp_path / "checkpoints" / name / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match="FileNotFoundError"):
        store.fetch(latest, into)
    (tmp_path / "checkpoints" / name / "complete.json").write_text(json.dumps({"step": "x"}))
    with pytest.raises(CheckpointError, match=r"unreadable complete\.json"):
        store.latest()


def test_a_failed_upload_leaves_the_ones_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = CheckpointStore(str(tmp_path / "checkpoints"), num_last=1)
    store.publish(_folder(tmp_path, "1"), step=1, figures={})

    def no_space(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("fsspec.implementations.local.LocalFileSystem.mv", no_space)
        with pytest.raises(StoreError, match="no space is left"):
            store.publish(_folder(tmp_path, "2"), step=2, figures={})
    assert _steps(store) == [1]
    store.publish(_folder(tmp_path, "3"), step=3, figures={})
    assert _steps(store) == [3]
