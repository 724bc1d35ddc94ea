"""`pirta release stage | activate | rollback | retire | drop | pin | unpin`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from pirta_cli.options import SettingsOption
from pirta_cli.release_session import ActorOption, ReleaseArgument

if TYPE_CHECKING:
    from pirta.pipelines.activation import Switched
    from pirta.releases.stored import Activation

VersionOption = Annotated[
    int | None,
    typer.Option(
        "--expected-version",
        min=0,
        help="The switch's number that `list` showed (0 for none yet): refused where somebody "
        "else switched since. Without it the switch is made from what is active as the command "
        "begins, which it tells; a rollback then goes back once only.",
    ),
]


def stage(
    release_id: ReleaseArgument, settings: SettingsOption = None, actor: ActorOption = None
) -> None:
    """Let every running replica load a verified release, beside the one that answers.

    Waits until all are ready. May be ended and called again: it goes on. Where
    a replica cannot load it, or has no room, it says so and nothing changes.
    """
    from rich.console import Console

    from pirta.pipelines.staging import stage_release
    from pirta_cli.progress import job_progress
    from pirta_cli.release_session import release_session

    console = Console(stderr=True)
    with (
        release_session(settings, actor=actor) as here,
        job_progress(console, "stage") as update,
    ):
        stage_release(
            release_id,
            releases=here.releases,
            settings=here.settings,
            actor=here.actor,
            on_progress=update,
        )
    console.print(f"{release_id} is staged: every replica holds it.", highlight=False)


def activate(
    release_id: ReleaseArgument,
    settings: SettingsOption = None,
    expected_version: VersionOption = None,
    actor: ActorOption = None,
) -> None:
    """Answer with a staged release from the next request on; the one before stays warm."""
    from pirta.pipelines.activation import activate_release
    from pirta_cli.release_session import release_session

    with release_session(settings, actor=actor) as here:
        if expected_version is None:
            expected_version = told_version(here.releases.active())
        switched = activate_release(
            release_id,
            releases=here.releases,
            index=here.index,
            settings=here.settings,
            expected_version=expected_version,
            actor=here.actor,
        )
    tell_switch(switched)


def rollback(
    settings: SettingsOption = None,
    expected_version: VersionOption = None,
    actor: ActorOption = None,
) -> None:
    """Answer with the release before again, from the next request on."""
    from pirta.pipelines.activation import roll_back
    from pirta_cli.release_session import release_session

    with release_session(settings, actor=actor) as here:
        switched = roll_back(
            releases=here.releases,
            index=here.index,
            settings=here.settings,
            expected_version=expected_version,
            actor=here.actor,
        )
    tell_switch(switched)


def told_version(active: Activation | None) -> int:
    """Say what answers now, and return the version that a switch from it goes from."""
    if active is None:
        typer.echo("No release is active yet.", err=True)
        return 0
    typer.echo(
        f"{active.release_id} is active since {active.at:%Y-%m-%d %H:%M} UTC, by {active.actor} "
        f"(switch {active.version}).",
        err=True,
    )
    return active.version


def tell_switch(switched: Switched) -> None:
    """Say what is active now, and whether the alias followed."""
    now = switched.activation
    before = f", before it {now.previous_release_id}" if now.previous_release_id else ""
    typer.echo(f"{now.release_id} is active (switch {now.version}{before}).")
    if switched.alias_problem:
        typer.echo(f"note: {switched.alias_problem} Reports do not use it.", err=True)


def retire(
    release_id: ReleaseArgument, settings: SettingsOption = None, actor: ActorOption = None
) -> None:
    """Wait for a release's last request, then let every replica unload it."""
    from rich.console import Console

    from pirta.pipelines.retirement import retire_release
    from pirta_cli.progress import job_progress
    from pirta_cli.release_session import release_session

    console = Console(stderr=True)
    with (
        release_session(settings, actor=actor) as here,
        job_progress(console, "retire") as update,
    ):
        memory_problem = retire_release(
            release_id,
            releases=here.releases,
            index=here.index,
            settings=here.settings,
            actor=here.actor,
            on_progress=lambda left, most: update(most - left, most, "requests ended"),
        )
    console.print(f"{release_id} is retired; its collection is kept.", highlight=False)
    if memory_problem:
        typer.echo(f"note: {memory_problem}", err=True)


def drop(
    release_id: ReleaseArgument, settings: SettingsOption = None, actor: ActorOption = None
) -> None:
    """Remove a retired release's collection from Milvus.

    Refused while it is pinned, an alias leads to it, or another release has it.
    """
    from pirta.pipelines.retirement import drop_release
    from pirta_cli.release_session import release_session

    with release_session(settings, actor=actor) as here:
        drop_release(release_id, releases=here.releases, index=here.index, actor=here.actor)
    typer.echo(f"{release_id} is dropped.")


def pin(
    release_id: ReleaseArgument, settings: SettingsOption = None, actor: ActorOption = None
) -> None:
    """Keep a release from being dropped."""
    from pirta_cli.release_session import release_session

    with release_session(settings, actor=actor) as here:
        here.releases.pin(release_id, actor=here.actor)
    typer.echo(f"{release_id} is pinned.")


def unpin(
    release_id: ReleaseArgument, settings: SettingsOption = None, actor: ActorOption = None
) -> None:
    """Let a release be dropped again."""
    from pirta_cli.release_session import release_session

    with release_session(settings, actor=actor) as here:
        here.releases.unpin(release_id, actor=here.actor)
    typer.echo(f"{release_id} is not pinned.")


COMMANDS: dict[str, Callable[..., None]] = {
    "stage": stage,
    "activate": activate,
    "rollback": rollback,
    "retire": retire,
    "drop": drop,
    "pin": pin,
    "unpin": unpin,
}
