"""What the release and case commands start from: settings, the store, the index, and who asks."""

from __future__ import annotations

import getpass
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from pirta.releases.store import ReleaseStore
    from pirta.retrieval.index import Index
    from pirta.settings import Settings

ActorOption = Annotated[
    str | None,
    typer.Option(
        "--actor",
        envvar="PIRTA_ACTOR",
        help="Who does this, for the journal; else the name of this machine's user.",
    ),
]
ReleaseArgument = Annotated[str, typer.Argument(help="A release's id, as `list` shows it.")]


@dataclass(frozen=True)
class ReleaseSession:
    """One command's view of the installation."""

    settings: Settings
    releases: ReleaseStore
    index: Index
    actor: str


@contextmanager
def release_session(
    settings: Path | Settings | None, *, actor: str | None = None
) -> Iterator[ReleaseSession]:
    """Open the store of the settings, its tables made or upgraded, until the block ends.

    Raises:
        SettingsError: the settings, or the store's address, cannot be used.
        ReleaseError: the store is newer than this code.
        UnavailableError: the store does not answer.
    """
    from pirta.releases.store import ReleaseStore
    from pirta.settings import Settings, load_settings
    from serve_apps.retriever import open_index

    values = settings if isinstance(settings, Settings) else load_settings(settings)
    releases = ReleaseStore(values.releases.store_url.get_secret_value())
    try:
        releases.migrate()
        yield ReleaseSession(values, releases, open_index(values.index), actor or _user())
    finally:
        releases.close()


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return "operator"
