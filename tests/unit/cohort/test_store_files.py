"""Files of a store: there whole or not at all, whatever ends the writing, on disk and on S3."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from pirta.cohort.store_files import exists, names_in, read_whole, whole_file, write_whole
from pirta.errors import StoreError


@pytest.fixture(params=["disk", "memory", "s3"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A folder of each kind of storage, fresh for each test."""
    if request.param == "s3":
        return f"{request.getfixturevalue('object_store')}/{tmp_path.name}"
    return str(tmp_path) if request.param == "disk" else f"memory://{tmp_path.name}"


def test_a_file_is_there_when_its_block_has_ended_and_not_before(folder: str) -> None:
    path = f"{folder}/deep/table"
    with whole_file(path) as file:
        file.write(b"first ")
        assert not exists(path)
        file.write(b"second")
    assert read_whole(path) == b"first second"
    write_whole(path, b"third")
    assert read_whole(path) == b"third"
    assert names_in(f"{folder}/deep") == ["table"]


@pytest.mark.parametrize(
    "ending", [KeyboardInterrupt(), ValueError(), StoreError("x", remedy="y"), MemoryError()]
)
def test_whatever_ends_the_writing_early_no_part_of_it_is_kept(
    folder: str, ending: BaseException
) -> None:
    write_whole(f"{folder}/old", b"as it was")
    for name in ("old", "new"):
        with pytest.raises(type(ending)):
            _write_half(f"{folder}/{name}", ending)
    assert names_in(folder) == ["old"]
    assert read_whole(f"{folder}/old") == b"as it was"


@pytest.mark.parametrize(
    ("number", "told"), [(errno.ENOSPC, "no space is left"), (errno.ENOENT, "it has vanished")]
)
def test_a_write_that_fails_is_told_and_leaves_nothing(folder: str, number: int, told: str) -> None:
    with pytest.raises(StoreError, match=told) as caught:
        _write_half(f"{folder}/a", OSError(number, "the text of the system"))
    assert "the text of the system" not in str(caught.value)
    assert names_in(folder) == []


def _write_half(path: str, ending: BaseException) -> None:
    with whole_file(path) as file:
        file.write(b"half a table")
        raise ending
