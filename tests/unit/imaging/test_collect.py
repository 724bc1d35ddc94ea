"""Fetching a study's files from folders, single files and archives, on two file systems."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import fsspec
import pytest
from botocore.exceptions import NoCredentialsError

from pirta.errors import ArchiveError, FileMissingError, FileUnreadableError
from pirta.imaging import archive
from pirta.imaging.collect import collect_files

FILES = {"b/2": b"two", "a.dcm": b"one", "c/d/e": b"three"}
HIDDEN = {".git/x": b"no", "c/.DS_Store": b"no"}


@pytest.fixture(params=["local", "memory"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A folder with files at several depths, and hidden ones."""
    root = str(tmp_path / ".store" / "Doe") if request.param == "local" else "memory://Doe/study"
    for name, content in {**FILES, **HIDDEN}.items():
        with fsspec.open(f"{root}/{name}", "wb", auto_mkdir=True) as out:
            out.write(content)
    return root


def test_a_folder_is_walked_to_its_end_without_hidden_files(folder: str) -> None:
    for uri in (folder, f"{folder}/"):
        found = collect_files(uri)
        assert found == FILES
        assert list(found) == sorted(FILES)


def test_one_file_comes_alone_and_an_archive_comes_unpacked(folder: str) -> None:
    assert collect_files(f"{folder}/b/2") == {"2": b"two"}
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as packed:
        member = tarfile.TarInfo("x/y")
        member.size = 3
        packed.addfile(member, io.BytesIO(b"abc"))
    with fsspec.open(f"{folder}/study.tar.gz", "wb") as file:
        file.write(out.getvalue())
    assert collect_files(f"{folder}/study.tar.gz") == {"x/y": b"abc"}


def test_nothing_there_is_missing_and_its_name_is_not_repeated(folder: str, tmp_path: Path) -> None:
    with pytest.raises(FileMissingError, match="does not exist") as caught:
        collect_files(f"{folder}/none")
    assert "Doe" not in str(caught.value)
    empty = tmp_path / "empty"
    empty.mkdir()
    (empty / ".hidden").touch()
    with pytest.raises(FileMissingError, match="holds no file"):
        collect_files(str(empty))


def test_an_unknown_storage_is_told() -> None:
    with pytest.raises(FileUnreadableError, match="storage cannot be used"):
        collect_files("pacs9://somewhere/study")


class _Broken:
    """A storage that fails in a way of its own."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def info(self, _path: str) -> dict[str, object]:
        raise self._error


@pytest.mark.parametrize(
    "error", [NoCredentialsError(), ConnectionResetError("Doe"), PermissionError("Doe")]
)
def test_a_storage_that_does_not_answer_is_told_by_the_kind_of_its_error(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fsspec.core, "url_to_fs", lambda uri: (_Broken(error), uri))
    with pytest.raises(FileUnreadableError, match=type(error).__name__) as caught:
        collect_files("s3://bucket/study")
    assert "Doe" not in str(caught.value)


class _WithMarkers:
    """A bucket with an empty object that stands for a folder."""

    def info(self, _path: str) -> dict[str, object]:
        return {"type": "directory", "size": 0}

    def find(self, _path: str, *, detail: bool) -> dict[str, dict[str, int]]:
        assert detail
        return {"b/s/": {"size": 0}, "b/s/sub/": {"size": 0}, "b/s/sub/1": {"size": 3}}

    def cat(self, names: list[str]) -> dict[str, bytes]:
        return dict.fromkeys(names, b"one")


def test_empty_objects_that_stand_for_folders_are_no_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fsspec.core, "url_to_fs", lambda _uri: (_WithMarkers(), "b/s"))
    assert collect_files("s3://b/s") == {"sub/1": b"one"}


def test_a_folder_above_the_limits_is_refused_before_it_is_fetched(
    folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "MAX_MEMBERS", 2)
    with pytest.raises(ArchiveError, match="folder holds more than 2 files"):
        collect_files(folder)
    monkeypatch.setattr(archive, "MAX_MEMBERS", 9)
    monkeypatch.setattr(archive, "MAX_TOTAL_BYTES", 7)
    with pytest.raises(ArchiveError, match="folder holds more than 0 MB"):
        collect_files(folder)


def test_a_folders_own_files_can_be_asked_for_without_those_below(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    for name in ("one", ".hidden", "below/two"):
        (tmp_path / name).write_bytes(b"x")
    memory = fsspec.filesystem("memory")
    memory.pipe({"/own-files/one": b"x", "/own-files/below/two": b"x"})
    for uri in (str(tmp_path), "memory://own-files"):
        assert set(collect_files(f"{uri}/*")) == {"one"}
        assert set(collect_files(uri)) == {"one", "below/two"}


def test_links_to_files_are_followed_and_links_to_folders_and_pipes_are_not(tmp_path: Path) -> None:
    study, elsewhere = tmp_path / "study", tmp_path / "elsewhere"
    for folder in (study, elsewhere):
        folder.mkdir()
    (elsewhere / "slice").write_bytes(b"x")
    (study / "slice").symlink_to(elsewhere / "slice")
    (study / "folder").symlink_to(elsewhere)
    os.mkfifo(study / "pipe")
    assert collect_files(str(study)) == {"slice": b"x"}
    (study / "broken").symlink_to(elsewhere / "gone")
    with pytest.raises(FileMissingError):
        collect_files(str(study))
