"""A store's files, local or behind any fsspec path: each is there whole or not at all.

On a disk a file is written under another name and renamed, which is atomic. An object store has
no rename (fsspec copies and deletes), and closing a half-written object uploads that half: there
the file is written to the local disk first, and uploaded when it is whole. Whatever ends the
writing early, an interrupt included, leaves the old file as it was. What cannot be written ends
the run as a StoreError; what is missing is None. Contents are no matter of this module.
"""

from __future__ import annotations

import errno
import posixpath
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, cast

import fsspec

from pirta.errors import StoreError
from pirta.storage_errors import storage_errors

_OBJECT_STORES = frozenset(
    {"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl", "oci", "oss", "memory"}
)
_REMEDY = (
    "Make room, or make the output reachable and writable again, then run the same command: "
    "what is done stays, and the run goes on from there."
)
_KNOWN = {
    errno.ENOENT: "it has vanished, or was never there",
    errno.ENOSPC: "no space is left",
    errno.EDQUOT: "its quota is used up",
    errno.EROFS: "it is read-only",
    errno.EACCES: "it may not be written",
    errno.EIO: "the device fails",
}


def join(*parts: str) -> str:
    """Return a path below another; fsspec's paths have slashes on every system."""
    return posixpath.join(*parts)


def write_whole(path: str, data: bytes) -> None:
    """Write a file so that no one ever sees a part of it.

    Raises:
        StoreError: it cannot be written.
    """
    filesystem, inside = open_filesystem(path)
    if not _appears_whole(filesystem):
        with whole_file(path) as file:
            file.write(data)
        return
    try:
        _make_folder(filesystem, posixpath.dirname(inside))
        filesystem.pipe_file(inside, data)
    except storage_errors() as error:
        raise unwritable(error) from None


@contextmanager
def whole_file(path: str) -> Iterator[BinaryIO]:
    """Give a file to write to, which takes its name when the block ends well, and only then.

    Raises:
        StoreError: it cannot be written.
    """
    filesystem, inside = open_filesystem(path)
    write = _uploaded if _appears_whole(filesystem) else _renamed
    try:
        _make_folder(filesystem, posixpath.dirname(inside))
        with write(filesystem, inside) as file:
            yield file
    except storage_errors() as error:
        raise unwritable(error) from None


@contextmanager
def _uploaded(filesystem: Any, inside: str) -> Iterator[BinaryIO]:
    """Give a file of the local disk, and upload it when the block ends well."""
    with tempfile.NamedTemporaryFile(suffix=".part") as draft:
        yield cast(BinaryIO, draft.file)
        draft.flush()
        filesystem.put_file(draft.name, inside)


@contextmanager
def _renamed(filesystem: Any, inside: str) -> Iterator[BinaryIO]:
    """Give a file beside the place, and rename it when the block ends well."""
    draft = f"{inside}.{uuid.uuid4().hex[:8]}.part"
    try:
        with filesystem.open(draft, "wb") as file:
            yield file
        filesystem.mv(draft, inside)
    except BaseException:  # an interrupt too; it goes on to whoever waits for it
        _drop(filesystem, draft)
        raise


def read_whole(path: str) -> bytes | None:
    """Return a file's bytes, None where there is none."""
    filesystem, inside = open_filesystem(path)
    try:
        with filesystem.open(inside, "rb") as file:
            data: bytes = file.read()
    except FileNotFoundError:
        return None
    except storage_errors() as error:
        raise _unreadable(error) from None
    return data


def exists(path: str) -> bool:
    """Say whether a file or folder is there now; no listing is remembered."""
    filesystem, inside = open_filesystem(path)
    try:
        return bool(filesystem.exists(inside))
    except storage_errors() as error:
        raise _unreadable(error) from None


def names_in(folder: str) -> list[str]:
    """Return the sorted names in a folder, none where it does not exist."""
    filesystem, inside = open_filesystem(folder)
    try:
        found = filesystem.ls(inside, detail=False)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except storage_errors() as error:
        raise _unreadable(error) from None
    return sorted({posixpath.basename(str(name).rstrip("/")) for name in found} - {""})


def read_all(folder: str, *, suffix: str) -> list[bytes]:
    """Return the contents of a folder's files of this suffix, by name; an object store's at once.

    Raises:
        StoreError: one cannot be read.
    """
    filesystem, inside = open_filesystem(folder)
    paths = [join(inside, name) for name in names_in(folder) if name.endswith(suffix)]
    try:
        found = filesystem.cat(paths, on_error="raise") if paths else {}
    except storage_errors() as error:
        raise _unreadable(error) from None
    return [data for _, data in sorted(found.items())]


def remove(path: str) -> None:
    """Remove a file or a folder with all in it; nothing happens where it is not there."""
    filesystem, inside = open_filesystem(path)
    try:
        filesystem.rm(inside, recursive=True)
    except FileNotFoundError:
        return
    except storage_errors() as error:
        raise unwritable(error) from None


def open_filesystem(path: str) -> tuple[Any, str]:
    """Return the filesystem of a path, and the path inside it.

    Listings are not cached: other processes write here.
    """
    filesystem, inside = fsspec.core.url_to_fs(path, use_listings_cache=False)
    return filesystem, inside


def unwritable(error: BaseException) -> StoreError:
    """Return the run's error for a failed write; an errno's own words may name paths."""
    number = error.errno if isinstance(error, OSError) else None
    reason = _KNOWN.get(number or 0, type(error).__name__)
    return StoreError(f"The output cannot be written: {reason}.", remedy=_REMEDY)


def _unreadable(error: Exception) -> StoreError:
    return StoreError(
        f"The output cannot be read back: {type(error).__name__}.",
        remedy="Check its address, credentials and permissions, then run the same command.",
    )


def _appears_whole(filesystem: Any) -> bool:
    protocol = filesystem.protocol
    names = (protocol,) if isinstance(protocol, str) else tuple(protocol)
    return bool(_OBJECT_STORES & set(names))


def _make_folder(filesystem: Any, folder: str) -> None:
    if folder and not _is_keyed(filesystem):
        filesystem.makedirs(folder, exist_ok=True)


def _is_keyed(filesystem: Any) -> bool:
    """Say whether folders are only a part of names: making one would ask for the bucket."""
    return _appears_whole(filesystem) and "memory" not in filesystem.protocol


def _drop(filesystem: Any, draft: str) -> None:
    try:
        filesystem.rm(draft)
    except OSError:
        return  # on a full or vanished disk there is nothing more to do; `.part` files are skipped
