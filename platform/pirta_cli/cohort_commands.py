"""`pirta cohort`: phantom cohorts whose every answer is known, and normals to put lesions in."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from pirta_cli.options import WorkersOption

app = typer.Typer(
    help="Make cohorts with known answers: phantoms, and lesions in any normal study.",
    no_args_is_help=True,
)


class CohortPreset(StrEnum):
    """The named cohort plans of `pirta.cohort.presets`."""

    DEMO = "demo"
    TINY = "tiny"
    TRAINING = "training"
    EXTERNAL = "external"


@app.command("make")
def make(
    out: Annotated[Path, typer.Argument(help="Folder to make; the table is OUT/cohort.parquet.")],
    preset: Annotated[CohortPreset, typer.Option(help="Which plan to make.")] = CohortPreset.DEMO,
    num_workers: WorkersOption = 2,
) -> None:
    """Make a phantom cohort: NIfTI in a BIDS-like tree, masks, registry rows and reports."""
    from rich.console import Console

    from pirta.cohort import presets
    from pirta.cohort.make import make_cohort
    from pirta_cli.progress import job_progress

    plans = {
        CohortPreset.DEMO: presets.demo,
        CohortPreset.TINY: presets.tiny,
        CohortPreset.TRAINING: presets.training,
        CohortPreset.EXTERNAL: presets.external,
    }
    console = Console(stderr=True)
    with job_progress(console, "cohort") as update:
        table = make_cohort(
            plans[preset](),
            out,
            num_workers=num_workers,
            on_progress=lambda done, total: update(done, total, ""),
        )
    typer.echo(str(table))


@app.command("hosts")
def hosts(
    store: Annotated[str, typer.Argument(help="Prepared store that holds normal studies.")],
    out: Annotated[str, typer.Argument(help="New prepared store, any fsspec path.")],
    split: Annotated[
        str | None, typer.Option(help="Split of the new rows; default: each row's own.")
    ] = None,
) -> None:
    """Give each normal study a territory map, so that lesions can be put in.

    The map is found by registration to MNI152; DWI of another b value is brought to b 1000. A brain
    that does not match the template goes to OUT/dead_letter.parquet with its reason.
    """
    from rich.console import Console

    from pirta.pipelines.hosts import make_hosts
    from pirta_cli.progress import job_progress

    console = Console(stderr=True)
    with job_progress(console, "hosts") as update:
        summary = make_hosts(
            store, out, split=split, on_progress=lambda done, total: update(done, total, "")
        )
    console.print(
        f"{summary.num_hosts} hosts, {summary.num_refused} refused, "
        f"{summary.num_strokes} strokes passed over",
        highlight=False,
    )
    typer.echo(out)
