"""`pirta evaluate`: what an encoder can and cannot do, in figures with intervals."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pirta_cli.options import SettingsOption

app = typer.Typer(help="Measure an encoder on held-out studies.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Keep `encoder` a subcommand although it is the only one."""


@app.command("encoder")
def encoder(
    index: Annotated[str, typer.Option(help="Prepared store whose cases are retrieved.")],
    queries: Annotated[str, typer.Option(help="Prepared store whose cases ask.")],
    index_split: Annotated[
        str, typer.Option(help="Split of the index store; 'all' for every case.")
    ] = "all",
    query_split: Annotated[
        str, typer.Option(help="Split of the query store; 'all' for every case.")
    ] = "all",
    markdown: Annotated[
        Path | None, typer.Option(help="Write the tables to this file as well.")
    ] = None,
    settings: SettingsOption = None,
) -> None:
    """Retrieval and classification figures, each with its 95 % bootstrap interval.

    The encoder is the settings' `encoder.path`; a patient's own cases never count as neighbours.
    """
    from rich.console import Console

    from pirta.evaluation.tables import render_markdown, render_rich
    from pirta.settings import load_settings
    from pirta_cli.progress import job_progress
    from train_jobs.evaluate_encoder import evaluate_stores

    values = load_settings(settings).encoder
    with job_progress(Console(stderr=True), "evaluate") as update:
        evaluation = evaluate_stores(
            values.path,
            index=index,
            index_split=None if index_split == "all" else index_split,
            queries=queries,
            query_split=None if query_split == "all" else query_split,
            num_threads=values.num_threads,
            on_progress=lambda done, total: update(done, total, ""),
        )
    Console().print(render_rich(evaluation))
    if markdown is not None:
        markdown.write_text(render_markdown(evaluation), encoding="utf-8")
