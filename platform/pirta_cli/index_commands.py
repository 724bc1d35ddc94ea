"""`pirta index`: embed a prepared store and build a release's index in Milvus."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pirta_cli.options import SettingsOption, WorkersOption

app = typer.Typer(help="Build the index that reports retrieve from.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Keep `build` a subcommand although it is the only one."""


@app.command("build")
def build(
    store: Annotated[str, typer.Argument(help="Prepared store (`pirta preprocess`).")],
    out: Annotated[Path, typer.Argument(help="Release record to write, a JSON file.")],
    settings: SettingsOption = None,
    split: Annotated[
        str, typer.Option(help="Which cases of the store enter the index; 'all' for every one.")
    ] = "index",
    num_workers: WorkersOption = 1,
) -> None:
    """Embed the cases, fill a new Milvus collection, and write the release record."""
    from rich.console import Console

    from pirta.pipelines.build_index import build_index
    from pirta.settings import load_settings
    from pirta_cli.progress import job_progress
    from serve_apps.retriever import open_index

    values = load_settings(settings)
    console = Console(stderr=True)
    with job_progress(console, "embed") as update:
        release = build_index(
            store,
            settings=values,
            index=open_index(values.index),
            out=out,
            split=None if split == "all" else split,
            num_workers=num_workers,
            on_progress=lambda done, total: update(done, total, ""),
        )
    console.print(
        f"{release.num_cases} cases in {release.collection} as {release.release_id}",
        highlight=False,
    )
    typer.echo(str(out))
