"""How a replica that holds releases is put together: its store, its name, its threads.

Used by the encoder, the retriever and the writer; what they load is their own matter.
"""

from __future__ import annotations

import uuid
from typing import TypeVar

from pirta.log import make_logger
from pirta.releases.store import ReleaseStore
from pirta.settings import ReleasesSettings
from serve_apps.loaded_releases import LoadedReleases
from serve_apps.part_loader import PartLoader

Part = TypeVar("Part")


def open_store(settings: ReleasesSettings) -> ReleaseStore:
    """Return the release store of the settings."""
    return ReleaseStore(settings.store_url.get_secret_value())


def hold_releases(
    settings: ReleasesSettings, loader: PartLoader[Part], *, deployment: str
) -> LoadedReleases[Part]:
    """Return the releases that this replica holds from now on, with all that are wanted loaded.

    Raises:
        UnavailableError: the store, or what the active release needs, does not answer.
    """
    held = LoadedReleases(
        open_store(settings),
        loader,
        deployment=deployment,
        replica_id=_name(deployment),
        poll_s=settings.poll_s,
        start_timeout_s=settings.stage_timeout_s,
        log=make_logger(),
    )
    held.start()
    return held


def _name(deployment: str) -> str:
    """Return Serve's name of this replica; a made-up one outside Serve."""
    from ray import serve
    from ray.serve.exceptions import RayServeException

    try:
        return f"{deployment}-{serve.get_replica_context().replica_id.unique_id}"
    except RayServeException:
        return f"{deployment}-{uuid.uuid4().hex[:8]}"
