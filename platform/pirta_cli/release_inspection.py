"""`pirta release list | show | events`: what there is, and what was done."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Annotated

import typer

from pirta_cli.options import SettingsOption
from pirta_cli.release_session import ReleaseArgument

EXIT_UNREADABLE = 4


def list_releases(
    settings: SettingsOption = None,
    everything: Annotated[bool, typer.Option("--all", help="Dropped ones too.")] = False,
) -> None:
    """Show every release with its state and gates, the oldest first.

    Ends with code 4 where one of them cannot be read; the others are shown.
    """
    from rich.console import Console

    from pirta_cli.release_session import release_session
    from pirta_cli.release_views import release_table

    with release_session(settings) as here:
        listing, active = here.releases.survey(), here.releases.active()
    shown = [one for one in listing.releases if everything or one.state != "dropped"]
    unreadable = [one for one in listing.unreadable if everything or one.state != "dropped"]
    if not shown and not unreadable:
        typer.echo("There is no release yet. Make one: pirta release build STORE", err=True)
        return
    Console().print(release_table(shown, unreadable, active), soft_wrap=True)
    for one in unreadable:
        typer.echo(f"{one.problem} {one.remedy}", err=True)
    if unreadable:
        raise typer.Exit(EXIT_UNREADABLE)


def show(release_id: ReleaseArgument, settings: SettingsOption = None) -> None:
    """Print all that is known of a release as JSON: record, state, gates, requests, replicas."""
    from pirta_cli.release_session import release_session

    with release_session(settings) as here:
        stored = here.releases.get(release_id)
        stale_s = here.settings.releases.replica_stale_s
        replicas = here.releases.live_replicas(within_s=stale_s)
        content = {
            "release_id": stored.release.release_id,
            **stored.model_dump(mode="json"),
            "num_requests_under_way": here.releases.in_flight(release_id),
            "replicas": [
                {
                    "replica_id": one.replica_id,
                    "deployment": one.deployment,
                    **one.loads[release_id].model_dump(mode="json"),
                }
                for one in replicas
                if release_id in one.loads
            ],
        }
    typer.echo(json.dumps(content, indent=2, ensure_ascii=False))


def events(
    settings: SettingsOption = None,
    last: Annotated[int, typer.Option(min=1, help="So many of the latest.")] = 50,
) -> None:
    """Show who did what to which release or case, the latest last."""
    from rich.console import Console

    from pirta_cli.release_session import release_session
    from pirta_cli.release_views import event_table

    with release_session(settings) as here:
        found = here.releases.events()[-last:]
    Console().print(event_table(found), soft_wrap=True)


COMMANDS: dict[str, Callable[..., None]] = {"list": list_releases, "show": show, "events": events}
