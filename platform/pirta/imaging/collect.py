"""Fetch every file of a study from where it lies: a folder, one file or one archive.

Any fsspec path does (local, `s3://`, `memory://`). Sizes are known and judged before a byte is
fetched. Names become keys relative to the folder and never enter a message: they may hold a
patient's. What the files are is not asked here; see `read_pair`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

import fsspec

from pirta.errors import FileMissingError, FileUnreadableError
from pirta.imaging.archive import check_num_bytes, check_num_files, is_archive, is_hidden, unpack
from pirta.storage_errors import storage_errors

_CHECK_PATH = "Check the path that was given."


def collect_files(uri: str) -> dict[str, bytes]:
    """Return the files of a study, name to bytes, in the order of their names.

    A folder is walked to its end, hidden files left out; `FOLDER/*` is its own files without what
    lies below; an archive is unpacked; any other file comes alone.

    Raises:
        FileMissingError: nothing lies there, or the folder holds no file.
        FileUnreadableError: a file may not be read, or the storage cannot be reached.
        ArchiveError: more files or bytes than a study can have, or as `unpack`.
    """
    try:
        system, path = fsspec.core.url_to_fs(uri)
    except (ValueError, ImportError) as error:
        raise FileUnreadableError(
            f"The study's storage cannot be used ({type(error).__name__}).",
            remedy="Use a local path, s3:// or another protocol that fsspec has installed.",
        ) from None
    try:
        return _collect(system, path)
    except FileNotFoundError:
        raise FileMissingError("The study's path does not exist.", remedy=_CHECK_PATH) from None
    except storage_errors() as error:
        raise FileUnreadableError(
            f"The study's files cannot be read ({type(error).__name__}).",
            remedy="Check permissions and, for a bucket, the address and credentials.",
        ) from None


def _collect(system: Any, path: str) -> dict[str, bytes]:
    depth = {"maxdepth": 1} if path.endswith("/*") else {}
    path = (path.removesuffix("/*") or "/") if depth else path
    info: Mapping[str, Any] = system.info(path)
    if info["type"] == "file":
        check_num_bytes(int(info["size"] or 0), where="file")
        data: bytes = system.cat_file(path)
        return unpack(data) if is_archive(data) else {PurePosixPath(path).name: data}
    sizes = {
        str(name): int(one["size"] or 0)
        for name, one in system.find(path, detail=True, **depth).items()
        # A bucket may keep empty objects that stand for folders: their names end in a slash.
        if not str(name).endswith("/")
        and not is_hidden(_relative(str(name), path))
        and not (one.get("type") == "other" and _is_no_file(str(name)))
    }
    check_num_files(len(sizes), where="folder")
    check_num_bytes(sum(sizes.values()), where="folder")
    if not sizes:
        raise FileMissingError("The study's folder holds no file.", remedy=_CHECK_PATH)
    found: Mapping[str, bytes] = system.cat(sorted(sizes))
    return {_relative(name, path): found[name] for name in sorted(sizes)}


def _is_no_file(path: str) -> bool:
    """Say whether a local path is a link to a folder, a pipe or a device; not so a broken link."""
    return os.path.exists(path) and not os.path.isfile(path)


def _relative(name: str, folder: str) -> str:
    return name.removeprefix(folder.rstrip("/")).lstrip("/")
