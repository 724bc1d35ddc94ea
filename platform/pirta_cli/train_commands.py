"""`pirta train`: the Ray Train jobs, each also `python -m train_jobs.<job>`.

A run's folder belongs to one run: the same command after a kill goes on from its last
checkpoint. Its `weights` folder is what the settings point to.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Train the encoder and the writer with Ray Train.", no_args_is_help=True)

RunOption = Annotated[str, typer.Option("--run", help="Named run: demo, gpu, paper or tiny.")]
DataOption = Annotated[str, typer.Option("--data", help="Prepared store (`pirta preprocess`).")]
GuestsOption = Annotated[
    str | None,
    typer.Option(help="Prepared store of a hospital's normals (`pirta cohort hosts`)."),
]
WithoutRayOption = Annotated[
    bool, typer.Option("--without-ray", help="In this process, with torch alone.")
]
CheckpointsOption = Annotated[
    str | None,
    typer.Option(help="Address of the checkpoints, s3://… too; in the run's folder if left out."),
]


@app.command("mae")
def mae(
    data: DataOption,
    out: Annotated[Path, typer.Option(help="The run's folder; resumed if begun.")],
    guests: GuestsOption = None,
    without_ray: WithoutRayOption = False,
    checkpoints: CheckpointsOption = None,
    run: RunOption = "demo",
) -> None:
    """Stage 1: pretrain the encoder as a masked autoencoder, without labels."""
    from train_jobs.presets import MAE_RUNS, find_run
    from train_jobs.train_mae import train_mae

    train_mae(
        find_run(MAE_RUNS, run),
        store=data,
        guests=guests,
        out=out,
        with_ray=not without_ray,
        checkpoints=checkpoints,
    )
    typer.echo(str(out / "weights"))


@app.command("territory")
def territory(
    data: DataOption,
    out: Annotated[Path, typer.Option(help="The run's folder; resumed if begun.")],
    mae: Annotated[
        Path | None, typer.Option(help="Weights of stage 1; from scratch where left out.")
    ] = None,
    guests: GuestsOption = None,
    without_ray: WithoutRayOption = False,
    checkpoints: CheckpointsOption = None,
    run: RunOption = "demo",
) -> None:
    """Stage 2: fine-tune the encoder for the four territory classes."""
    from train_jobs.presets import TERRITORY_RUNS, find_run
    from train_jobs.train_territory import train_territory

    train_territory(
        find_run(TERRITORY_RUNS, run),
        store=data,
        guests=guests,
        out=out,
        mae=mae,
        with_ray=not without_ray,
        checkpoints=checkpoints,
    )
    typer.echo(str(out / "weights"))


@app.command("writer-base")
def writer_base(
    out: Annotated[Path, typer.Option(help="The run's folder; resumed if begun.")],
    run: RunOption = "demo",
) -> None:
    """Pretrain the small demo language model; a hospital would start from Llama 3 instead."""
    from train_jobs.train_writer_base import train_base
    from train_jobs.writer_presets import BASE_RUNS, named_run

    train_base(named_run(BASE_RUNS, run), run_dir=out, to=out / "weights")
    typer.echo(str(out / "weights"))


@app.command("writer")
def writer(
    out: Annotated[Path, typer.Option(help="The run's folder; resumed if begun.")],
    base: Annotated[
        Path | None, typer.Option(help="Folder of the base model; the shipped one if left out.")
    ] = None,
    prompts: Annotated[
        Path | None, typer.Option(help="JSON lines of Table-3 prompts; made up if left out.")
    ] = None,
    run: RunOption = "demo",
) -> None:
    """Fine-tune the writer with LoRA on Table-3 prompts."""
    from pirta.settings import SHIPPED_WEIGHTS
    from train_jobs.finetune_writer import finetune
    from train_jobs.writer_presets import ADAPTER_RUNS, named_run

    finetune(
        named_run(ADAPTER_RUNS, run),
        base=base or SHIPPED_WEIGHTS / "writer_base",
        run_dir=out,
        to=out / "weights",
        prompts=prompts,
    )
    typer.echo(str(out / "weights"))
