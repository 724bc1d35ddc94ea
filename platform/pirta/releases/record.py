"""The release record on disk: written whole, read back typed, and checked against its parts.

How the record's fields come to be is the business of `pirta.pipelines.build_index`; what is
behind a checkpoint folder is known to the caller's `sha256_of` alone.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from pydantic import ValidationError

from pirta.contracts.release import Release
from pirta.errors import CheckpointError, ReleaseError

# (folder, kind of checkpoint) -> the checkpoint's sha256; raises CheckpointError.
Sha256Of: TypeAlias = Callable[[Path, str], str]


def write_release(path: Path, release: Release) -> None:
    """Write the record in one step: a reader sees the old one or the new one, never half."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(release.model_dump_json(indent=2) + "\n", encoding="utf-8")
    temporary.replace(path)


def read_release(path: Path) -> Release:
    """Return the record at `path`; its parts are not looked at.

    Raises:
        ReleaseError: there is no file, or it is no release record.
    """
    if not path.is_file():
        raise ReleaseError(
            f"There is no release record at {path}.",
            remedy="Make one with `pirta index build`, or name it by the setting release_path.",
        )
    try:
        return Release.model_validate_json(path.read_text(encoding="utf-8"))
    except ValidationError as error:
        fields = ", ".join(
            ".".join(str(part) for part in item["loc"]) or "the file"
            for item in error.errors(include_url=False, include_input=False)
        )
        raise ReleaseError(
            f"{path} is no release record: {fields} cannot be read.",
            remedy="Make the release again with `pirta index build`.",
        ) from None
    except UnicodeDecodeError:
        raise ReleaseError(
            f"{path} is no release record: it is not text.",
            remedy="Make the release again with `pirta index build`.",
        ) from None


def verify_release(release: Release, *, sha256_of: Sha256Of) -> None:
    """Check that the folders a release names still hold what it was made with.

    Raises:
        ReleaseError: a part is missing, damaged, or another one.
    """
    for kind, folder, expected in (
        ("encoder", release.encoder_path, release.encoder_sha256),
        ("writer_base", release.writer_base_path, release.writer_base_sha256),
        ("writer_adapter", release.writer_adapter_path, release.writer_adapter_sha256),
    ):
        try:
            found = sha256_of(Path(folder), kind)
        except CheckpointError as error:
            raise ReleaseError(
                f"The {kind} of {release.release_id} cannot be used: {error.message}",
                remedy=error.remedy,
            ) from None
        if found != expected:
            raise ReleaseError(
                f"The {kind} in {folder} is {found[:12]}, the release {release.release_id} "
                f"was made with {expected[:12]}.",
                remedy="Put the release's own weights there, or build the index again.",
            )
