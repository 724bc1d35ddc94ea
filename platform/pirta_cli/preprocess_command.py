"""`pirta preprocess`: a cohort's volumes onto the encoder's grid, with Ray Data."""

from __future__ import annotations

from typing import Annotated

import typer

from pirta_cli.options import SettingsOption, WorkersOption


def preprocess(
    cohort: Annotated[str, typer.Argument(help="cohort.parquet, local or any fsspec path.")],
    out: Annotated[str, typer.Argument(help="Folder of the prepared store; resumed if begun.")],
    settings: SettingsOption = None,
    num_workers: WorkersOption = 2,
) -> None:
    """Strip, resample, correct and normalise every study of a cohort.

    A study that cannot be used goes to OUT/dead_letter.parquet with its code and reason.
    """
    from rich.console import Console

    from pirta.pipelines.preprocess import preprocess_cohort
    from pirta.settings import load_settings
    from pirta_cli.progress import job_progress

    console = Console(stderr=True)
    with job_progress(console, "preprocess") as update:
        summary = preprocess_cohort(
            cohort,
            out,
            settings=load_settings(settings).preprocessing,
            num_workers=num_workers,
            on_progress=lambda now: update(
                now.num_done + now.num_refused, now.num_total, f"{now.num_refused} refused"
            ),
        )
    console.print(
        f"{summary.num_done} prepared, {summary.num_refused} refused, {summary.seconds:.0f} s",
        highlight=False,
    )
    typer.echo(out)
