"""`pirta case`: newly signed reports into what is served, and cases taken out of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from pirta_cli.options import SettingsOption, WorkersOption
from pirta_cli.release_session import ActorOption

if TYPE_CHECKING:
    from pirta.releases.stored import Citation

app = typer.Typer(
    help="Add verified cases to the release that is served, or withdraw one from all.",
    no_args_is_help=True,
)

CaseArgument = Annotated[str, typer.Argument(help="A case's pseudonymous id.")]


@app.command("add")
def add(
    store: Annotated[str, typer.Argument(help="Prepared store (`pirta preprocess`).")],
    settings: SettingsOption = None,
    split: Annotated[
        str, typer.Option(help="Which cases of the store are added; 'all' for every one.")
    ] = "index",
    release: Annotated[
        str | None, typer.Option(help="Id of the release to add to; else the active one.")
    ] = None,
    replace: Annotated[
        bool,
        typer.Option("--replace", help="Let a case take the place of one that was added earlier."),
    ] = False,
    embeddings: Annotated[
        str | None, typer.Option(help="Folder for finished embeddings; else STORE/embeddings.")
    ] = None,
    num_workers: WorkersOption = 1,
    actor: ActorOption = None,
) -> None:
    """Add newly signed reports' cases: the next search sees them, without a new release."""
    from rich.console import Console

    from pirta.pipelines.add_cases import add_cases
    from pirta_cli.progress import job_progress
    from pirta_cli.release_session import release_session

    console = Console(stderr=True)
    with (
        release_session(settings, actor=actor) as here,
        job_progress(console, "add") as update,
    ):
        added = add_cases(
            store,
            settings=here.settings,
            index=here.index,
            releases=here.releases,
            actor=here.actor,
            split=split,
            release_id=release,
            replace=replace,
            embeddings=embeddings,
            num_workers=num_workers,
            on_progress=lambda done, total: update(done, total, ""),
        )
    typer.echo(
        f"{added.num_added} added to {added.release_id}, {added.num_replaced} replaced, "
        f"{added.num_unchanged} there already, {added.num_withdrawn} withdrawn ones left out."
    )


@app.command("withdraw")
def withdraw(
    case_id: CaseArgument,
    reason: Annotated[str, typer.Option(help="Why, without naming anyone: it is kept for good.")],
    settings: SettingsOption = None,
    anyway: Annotated[
        bool,
        typer.Option(
            "--anyway", help="Do not look whether an index holds it; works while Milvus is down."
        ),
    ] = False,
    actor: ActorOption = None,
) -> None:
    """Hide a case from all searches at once, in every release, and list who cited it.

    Cannot be undone: a corrected case is added under another id. Refused in a
    store that holds no release.
    """
    from pirta.pipelines.withdrawal import withdraw_case
    from pirta_cli.release_session import release_session

    with release_session(settings, actor=actor) as here:
        done = withdraw_case(
            case_id,
            reason=reason,
            releases=here.releases,
            index=None if anyway else here.index,
            actor=here.actor,
        )
    typer.echo(f"{case_id} is withdrawn: no search finds it any more.", err=True)
    if done.memory_problem:
        typer.echo(f"note: {done.memory_problem}", err=True)
    _tell_citations(case_id, done.citations)


@app.command("citations")
def citations(case_id: CaseArgument, settings: SettingsOption = None) -> None:
    """List the reports that cited a case."""
    from pirta_cli.release_session import release_session

    with release_session(settings) as here:
        found = here.releases.citations(case_id)
    _tell_citations(case_id, found)


def _tell_citations(case_id: str, found: tuple[Citation, ...]) -> None:
    from rich.console import Console

    from pirta_cli.release_views import citation_table

    if not found:
        typer.echo(f"No report cited {case_id}.", err=True)
        return
    typer.echo(f"{len(found)} report(s) cited {case_id}:", err=True)
    Console().print(citation_table(found), soft_wrap=True)
