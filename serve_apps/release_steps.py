"""What each long step of a release's life does, for the Ray task that runs it (see `operations`).

The steps themselves are `pirta.pipelines`'; the command line runs the same.
"""

from __future__ import annotations

from pathlib import Path

from pirta.contracts.release import Calibration, Release
from pirta.errors import InputError
from pirta.releases.store import ReleaseStore
from pirta.settings import Settings
from serve_apps.operations import OperationRequest
from serve_apps.replica import open_store


def run_operation(request: OperationRequest, settings: Settings) -> str:
    """Take the step to its end and return the release's id.

    Raises:
        PirtaError: what the step raised; the store says in which state the release is now.
    """
    releases = open_store(settings.releases)
    try:
        if request.kind == "build":
            return _build(request, settings, releases).release_id
        release_id = needed(request.release_id, "release_id", request)
        if request.kind == "verify":
            _verify(release_id, request, settings, releases)
        elif request.kind == "stage":
            from pirta.pipelines.staging import stage_release

            stage_release(release_id, releases=releases, settings=settings, actor=request.actor)
        elif request.kind == "retire":
            _retire(release_id, request, settings, releases)
        else:
            _drop(release_id, request, settings, releases)
        return release_id
    finally:
        releases.close()


def needed(value: str | None, name: str, request: OperationRequest) -> str:
    """Return a field that a step cannot do without.

    Raises:
        InputError: it was left out.
    """
    if not value:
        raise InputError(f"To {request.kind}, '{name}' is missing.", remedy=f"Send '{name}'.")
    return value


def _build(request: OperationRequest, settings: Settings, releases: ReleaseStore) -> Release:
    from pirta.pipelines.build_release import build_release
    from pirta.pipelines.fitted_limits import limits_for
    from serve_apps.retriever import open_index

    fitted = None if request.abstention is None else Path(request.abstention)

    return build_release(
        needed(request.store, "store", request),
        settings=settings,
        index=open_index(settings.index),
        releases=releases,
        split=request.split or "index",
        calibration=Calibration(
            min_similarity=request.min_similarity,
            min_patients=request.min_patients,
            abstention=limits_for(fitted, settings),
        ),
        num_workers=request.num_workers,
        actor=request.actor,
    )


def _verify(
    release_id: str, request: OperationRequest, settings: Settings, releases: ReleaseStore
) -> None:
    from pirta.pipelines.verify_release import DEFAULT_LIMITS, verify_release
    from serve_apps.retriever import open_index

    verify_release(
        release_id,
        settings=settings,
        index=open_index(settings.index),
        releases=releases,
        golden_store=needed(request.golden_store, "golden_store", request),
        golden_split=request.golden_split,
        limits=DEFAULT_LIMITS.with_golden(
            margin=request.golden_margin, minimum=request.golden_minimum
        ),
        num_workers=request.num_workers,
        actor=request.actor,
    )


def _retire(
    release_id: str, request: OperationRequest, settings: Settings, releases: ReleaseStore
) -> None:
    from pirta.pipelines.retirement import retire_release
    from serve_apps.retriever import open_index

    retire_release(
        release_id,
        releases=releases,
        index=open_index(settings.index),
        settings=settings,
        actor=request.actor,
    )


def _drop(
    release_id: str, request: OperationRequest, settings: Settings, releases: ReleaseStore
) -> None:
    from pirta.pipelines.retirement import drop_release
    from serve_apps.retriever import open_index

    drop_release(
        release_id, releases=releases, index=open_index(settings.index), actor=request.actor
    )
