"""Whether this machine's files and settings are what a release was made with.

Asked by each replica before it loads its part, and for the active release before the graph starts,
so that a wrong folder is told at once and by name.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pirta.contracts.release import Release
from pirta.errors import CheckpointError, FingerprintError, ReleaseError
from pirta.reporting.study_report import check_prompt
from serve_apps.held_weights import check_base_of, check_weights

CheckpointKind = Literal["encoder", "writer_base", "writer_adapter"]


def check_release(release: Release, *, preprocessing_fingerprint: str) -> None:
    """Check every part of a release that lies on this machine; reads all its weights.

    Raises:
        ReleaseError: a part is missing, damaged or another one, or the prompt is.
        FingerprintError: the service prepares studies otherwise.
    """
    check_prompt(release)
    check_fingerprint(release, preprocessing_fingerprint)
    check_checkpoint(release, "encoder")
    check_checkpoint(release, "writer_base")
    check_checkpoint(release, "writer_adapter")


def check_checkpoint(release: Release, kind: CheckpointKind) -> Path:
    """Return the folder of a release's checkpoint after checking every file of it.

    Raises:
        ReleaseError: it is missing, damaged, another one than the release names, or an adapter
            of another base.
    """
    folder, expected = {
        "encoder": (release.encoder_path, release.encoder_sha256),
        "writer_base": (release.writer_base_path, release.writer_base_sha256),
        "writer_adapter": (release.writer_adapter_path, release.writer_adapter_sha256),
    }[kind]
    try:
        manifest = check_weights(Path(folder), kind=kind, sha256=expected)
        if kind == "writer_adapter":
            check_base_of(manifest, base_sha256=release.writer_base_sha256)
    except CheckpointError as error:
        raise ReleaseError(
            f"The {kind} of {release.release_id} cannot be used: {error.message}",
            remedy=error.remedy,
        ) from None
    return Path(folder)


def check_fingerprint(release: Release, preprocessing_fingerprint: str) -> None:
    """Raise FingerprintError where the service prepares studies otherwise than the release wants.

    Raises:
        FingerprintError: names both.
    """
    if release.preprocessing_fingerprint != preprocessing_fingerprint:
        raise FingerprintError(
            f"The service prepares studies as {preprocessing_fingerprint}, the index of "
            f"{release.release_id} was made with {release.preprocessing_fingerprint}.",
            remedy="Serve with the preprocessing settings of the release, or build it again.",
        )
