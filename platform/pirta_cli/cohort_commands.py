"""`pirta cohort`: phantom cohorts whose every answer is known, and normals to put lesions in."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from pirta_cli import lesion_commands
from pirta_cli.options import WorkersOption

app = typer.Typer(
    help="Make cohorts with known answers: phantoms, and lesions in any normal study.",
    no_args_is_help=True,
)
app.command("hosts")(lesion_commands.hosts)
app.command("insert")(lesion_commands.insert)
app.command("sizes")(lesion_commands.sizes)
app.command("bids")(lesion_commands.bids)


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
