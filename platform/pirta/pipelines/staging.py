"""Stage a release: wait until every replica of encoder, retriever and writer holds it.

Nothing is pushed. The store says that the release is wanted; replicas see it there, load it
beside what they hold, and report with their heartbeats. This only waits and judges, so it may be
killed: the release stays `staging`, and calling it again goes on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pirta.errors import ReleaseError, ReplicasNotReadyError, UnavailableError
from pirta.releases.store import ReleaseStore
from pirta.releases.stored import Replica
from pirta.settings import ReleasesSettings, Settings

DEPLOYMENTS = ("encoder", "retriever", "writer")

_LOOK_AGAIN_S = 0.25
# A replica may still report the failure of an attempt before, until it has looked again.
_POLLS_BEFORE_A_FAILURE_COUNTS = 2

OnProgress = Callable[[int, int, str], None]
"""Called as `on_progress(replicas ready, replicas alive, what is still missing)`."""


@dataclass(frozen=True)
class Readiness:
    """How far the replicas that live are with one release.

    Attributes:
        missing: what is waited for, one phrase each; empty when the release is staged.
        failures: what a replica could not load, and why.
    """

    num_ready: int
    num_replicas: int
    missing: tuple[str, ...]
    failures: tuple[str, ...]


def stage_release(
    release_id: str,
    *,
    releases: ReleaseStore,
    settings: Settings,
    actor: str,
    on_progress: OnProgress | None = None,
) -> None:
    """Have every replica load the release beside what it serves, and return when all have.

    A release that is staged or active already stays as it is.

    Raises:
        UnknownReleaseError, ReleaseStateError: there is no such release, or it is not verified.
        ReleaseError: a replica cannot load it, or has no room; the release is `verified` again.
        UnavailableError: a deployment has no replica, or one was not ready in time; likewise.
    """
    state = releases.get(release_id).state
    if state in ("staged", "active"):
        return
    if state != "staging":
        releases.begin_staging(release_id, actor=actor)
    times = settings.releases
    started_s = time.monotonic()
    while True:
        waited_s = time.monotonic() - started_s
        now = readiness(release_id, releases.live_replicas(within_s=times.replica_stale_s))
        if on_progress is not None:
            on_progress(now.num_ready, now.num_replicas, "; ".join(now.missing))
        if not now.missing:
            releases.finish_staging(release_id)
            return
        if now.failures and waited_s > _POLLS_BEFORE_A_FAILURE_COUNTS * times.poll_s:
            _give_up_failed(release_id, now, releases)
        if waited_s > times.stage_timeout_s:
            _give_up_waiting(release_id, now, releases, times)
        time.sleep(_LOOK_AGAIN_S)


def check_replicas(release_id: str, *, releases: ReleaseStore, settings: Settings) -> None:
    """Return if every replica that lives holds the release now.

    A staged release need not stay so: a replica that was started since is still loading, and one
    that was started anew may have failed at it. A deployment without a live replica lacks nothing:
    it can serve neither release, and the way back from a bad one must not wait for it.

    Raises:
        ReplicasNotReadyError: names who lacks it.
        UnavailableError: the store does not answer.
    """
    live = releases.live_replicas(within_s=settings.releases.replica_stale_s)
    alive = {one.deployment.lower() for one in live}
    now = readiness(release_id, live, [name for name in DEPLOYMENTS if name in alive])
    if not now.missing:
        return
    failures = f" {now.failures[0]}" if now.failures else ""
    raise ReplicasNotReadyError(
        f"{release_id} is not held by every replica: {'; '.join(now.missing)}. What is served did "
        f"not change.{failures}",
        remedy="Try again when they are ready (`pirta release show ID` tells how far each is); a "
        "replica that fails at it needs what it names.",
    )


def readiness(
    release_id: str, replicas: Sequence[Replica], deployments: Sequence[str] = DEPLOYMENTS
) -> Readiness:
    """Return how far these replicas, all alive, are with the release."""
    missing, failures, num_ready = [], [], 0
    for deployment in deployments:
        own = [one for one in replicas if one.deployment.lower() == deployment]
        loads = {one.replica_id: one.loads.get(release_id) for one in own}
        ready = [name for name, load in loads.items() if load and load.state == "ready"]
        num_ready += len(ready)
        failures += [
            f"the {deployment} {name}: {load.message}"
            for name, load in loads.items()
            if load and load.state == "failed"
        ]
        if not own:
            missing.append(f"no live replica of the {deployment}")
        elif len(ready) < len(own):
            waits = {load.message for load in loads.values() if load and load.state == "loading"}
            why = "; ".join(sorted(waits - {""}))
            missing.append(
                f"{deployment} {len(ready)} of {len(own)}" + (f" ({why})" if why else "")
            )
    num_replicas = sum(one.deployment.lower() in DEPLOYMENTS for one in replicas)
    return Readiness(num_ready, num_replicas, tuple(missing), tuple(failures))


def _give_up_failed(release_id: str, now: Readiness, releases: ReleaseStore) -> None:
    reason = now.failures[0]
    releases.fail_staging(release_id, reason)
    raise ReleaseError(
        f"{release_id} was not staged, and is verified as before. It could not be loaded by "
        f"{len(now.failures)} of {now.num_replicas} replicas; {reason}",
        remedy="Mend what is named there, then stage it again; what is served did not change.",
    )


def _give_up_waiting(
    release_id: str, now: Readiness, releases: ReleaseStore, times: ReleasesSettings
) -> None:
    reason = f"not ready within {times.stage_timeout_s:g} s: {'; '.join(now.missing)}"
    releases.fail_staging(release_id, reason)
    raise UnavailableError(
        f"{release_id} was not staged, and is verified as before: {reason}.",
        remedy="Start the service (`pirta serve`) or see its replicas' logs, or raise "
        "releases.stage_timeout_s; then stage it again.",
    )
