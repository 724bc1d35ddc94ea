"""Weights between their check and their use: what the engine reads is what was checked.

A release names base and adapter by sha256, but they lie in folders that somebody can change. An
adapter is small: it is copied into a private folder, the copy is checked, and the copy is what the
engine reads, also when it reads it again later. A base is large and read once, when the engine
starts: it is checked right before and right after. Whoever changes a base during the reading and
changes it back before the second look is not found; folders that only the operator may write to
stay the first defence.
"""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from pirta.errors import CheckpointError
from pirta.models.checkpoint import (
    MANIFEST_NAME,
    CheckpointManifest,
    read_manifest,
    verify_manifest,
)

_PLACE_IT_AGAIN = "Put the release's own weights there, or build the release again."


def check_weights(folder: Path, *, kind: str, sha256: str) -> CheckpointManifest:
    """Return a checkpoint's manifest after checking every file, and that it is the one named.

    Raises:
        CheckpointError: it is missing, damaged, or another one.
    """
    manifest = verify_manifest(folder, kind=kind)
    if manifest.sha256 != sha256:
        raise CheckpointError(
            f"The {kind} in {folder} is {manifest.sha256[:12]}, wanted is {sha256[:12]}.",
            remedy=_PLACE_IT_AGAIN,
        )
    return manifest


def check_base_of(adapter: CheckpointManifest, *, base_sha256: str) -> None:
    """Raise CheckpointError where an adapter was trained on another base."""
    trained_on = str(adapter.config.get("base_sha256"))
    if trained_on != base_sha256:
        raise CheckpointError(
            f"The adapter {adapter.sha256[:12]} was trained on the base {trained_on[:12]}, not on "
            f"{base_sha256[:12]}.",
            remedy="Name the base that the adapter's manifest tells.",
        )


@contextmanager
def unchanged_base(folder: Path, *, sha256: str) -> Iterator[None]:
    """Check a base before the block that reads it, and again after.

    Raises:
        CheckpointError: it is not the one named, before or after.
    """
    check_weights(folder, kind="writer_base", sha256=sha256)
    yield
    check_weights(folder, kind="writer_base", sha256=sha256)


class AdapterCopies:
    """Checked copies of adapters in a folder of this process, gone when this object is."""

    def __init__(self, *, base_sha256: str) -> None:
        self._base_sha256 = base_sha256
        self._folder = Path(tempfile.mkdtemp(prefix="pirta-adapters-"))  # for this user alone
        weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)

    def copy_of(self, folder: Path, *, sha256: str) -> Path:
        """Return where a checked copy of an adapter lies; it is copied once.

        Raises:
            CheckpointError: the copy is damaged, another adapter, or one of another base.
        """
        held = self._folder / sha256
        if held.is_dir():
            return held
        copying = Path(tempfile.mkdtemp(dir=self._folder))
        try:
            _copy_files(folder, copying)
            manifest = check_weights(copying, kind="writer_adapter", sha256=sha256)
            check_base_of(manifest, base_sha256=self._base_sha256)
            copying.replace(held)
        finally:
            shutil.rmtree(copying, ignore_errors=True)
        return held


def _copy_files(source: Path, to: Path) -> None:
    """Copy the files that a manifest names, and nothing that lies beside them."""
    names = [MANIFEST_NAME, *read_manifest(source).files]
    for name in names:
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
            raise CheckpointError(
                f"The manifest in {source} names a file outside its folder.",
                remedy="Copy the checkpoint again from where it was made.",
            )
        (to / name).parent.mkdir(parents=True, exist_ok=True)
        try:
            shutil.copyfile(source / name, to / name)
        except FileNotFoundError:
            raise CheckpointError(
                f"The checkpoint in {source} lacks its file '{name}'.",
                remedy="Copy the checkpoint again from where it was made.",
            ) from None
