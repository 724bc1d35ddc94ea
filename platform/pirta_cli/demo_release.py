"""The demo's release: built and measured, staged in the running service, and switched to.

The same functions as `pirta release` runs, one after the other. A second demo over the same folder
finds its release as it left it; one of other code makes a new one, and lets the old one go.
"""

from __future__ import annotations

from rich.console import Console

from pirta.errors import ReleaseError
from pirta_cli.demo_steps import QUERY_SPLIT
from pirta_cli.progress import job_progress
from pirta_cli.release_session import ReleaseSession
from pirta_cli.release_views import gate_table


def build(store: str, here: ReleaseSession, *, console: Console) -> str:
    """Embed the index split, fill the collection, and return the release's id."""
    from pirta.pipelines.build_release import build_release

    with job_progress(console, "build") as update:
        release = build_release(
            store,
            settings=here.settings,
            index=here.index,
            releases=here.releases,
            actor=here.actor,
            split="index",
            on_progress=update,
        )
    console.print(f"{release.num_cases} cases indexed as {release.release_id}", highlight=False)
    return release.release_id


def verify(release_id: str, store: str, here: ReleaseSession, *, console: Console) -> None:
    """Measure every gate with the held-out split, unless a run before did.

    Raises:
        ReleaseError: a gate failed.
    """
    from pirta.pipelines.verify_release import verify_release

    stored = here.releases.get(release_id)
    if stored.state in ("built", "rejected"):
        with job_progress(console, "verify") as update:
            gates = verify_release(
                release_id,
                settings=here.settings,
                index=here.index,
                releases=here.releases,
                golden_store=store,
                golden_split=QUERY_SPLIT,
                actor=here.actor,
                on_step=update,
            )
    else:
        gates = stored.gates
    console.print(gate_table(gates))
    if failed := [gate.name for gate in gates if not gate.passed]:
        raise ReleaseError(
            f"{release_id} is rejected by {', '.join(failed)}.",
            remedy="See the table above; remove the demo's folder to begin anew.",
        )


def switch(release_id: str, here: ReleaseSession, *, console: Console) -> None:
    """Stage the release, activate it, and retire every other one."""
    from pirta.pipelines.activation import activate_release
    from pirta.pipelines.retirement import retire_release
    from pirta.pipelines.staging import stage_release

    with job_progress(console, "stage") as update:
        stage_release(
            release_id,
            releases=here.releases,
            settings=here.settings,
            actor=here.actor,
            on_progress=update,
        )
    switched = activate_release(
        release_id,
        releases=here.releases,
        index=here.index,
        settings=here.settings,
        expected_version=None,
        actor=here.actor,
    )
    console.print(f"{release_id} is active (switch {switched.activation.version})", highlight=False)
    for other in here.releases.list():
        if other.release_id != release_id and other.state not in ("retired", "dropped"):
            retire_release(
                other.release_id,
                releases=here.releases,
                index=here.index,
                settings=here.settings,
                actor=here.actor,
            )
