"""`pirta evaluate writer`: what the reports' text is worth, beside rules without a model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pirta_cli.options import SettingsOption


def writer(
    index: Annotated[str, typer.Option(help="STORE[:SPLIT] whose cases are retrieved.")],
    data: Annotated[
        list[str],
        typer.Option(help="[NAME=]STORE[:SPLIT] whose cases ask; may be given several times."),
    ],
    out: Annotated[Path, typer.Option(help="Folder to fill: JSON, Markdown, PNG, embeddings.")],
    encoder_path: Annotated[
        Path | None, typer.Option("--encoder", help="Encoder's folder; else the settings'.")
    ] = None,
    writer_base: Annotated[
        Path | None, typer.Option(help="Writer base's folder; else the settings'.")
    ] = None,
    writer_adapter: Annotated[
        Path | None, typer.Option(help="Adapter's folder; else the settings'.")
    ] = None,
    limits: Annotated[
        Path | None,
        typer.Option(help="Limits of abstention that `train_jobs.fit_abstention` wrote."),
    ] = None,
    without_patients: Annotated[
        Path | None,
        typer.Option(
            help="Text file of patients that do not ask, one a line: those that the writer or the "
            "limits learnt from."
        ),
    ] = None,
    num_resamples: Annotated[int, typer.Option(min=0, help="Bootstrap resamples.")] = 1000,
    seed: Annotated[int, typer.Option(min=0, help="Of bootstrap and poisoned neighbours.")] = 0,
    settings: SettingsOption = None,
) -> None:
    """The text beside image retrieval, three baselines and the ablations, with 95 % intervals.

    Every system writes of the same held-out cases. A patient's own cases never count as
    neighbours. Starts the writer's engine in this process, configured as it is served.
    """
    from rich.console import Console

    from pirta.evaluation.writer_evaluation import WriterOptions
    from pirta.evaluation.writer_tables import render_rich
    from pirta.settings import load_settings
    from pirta_cli.progress import job_progress
    from train_jobs.evaluate_writer import run_writer_evaluation
    from train_jobs.evaluation_data import parse_data
    from train_jobs.writer_plan import WriterPlan

    values = load_settings(settings)
    plan = WriterPlan(
        encoder=encoder_path or values.encoder.path,
        base=writer_base or values.writer.base_path,
        adapter=writer_adapter or values.writer.adapter_path,
        index=parse_data(index),
        data=tuple(parse_data(text) for text in data),
        out=out,
        limits=limits,
        without_patients=without_patients,
        options=WriterOptions(num_resamples=num_resamples, seed=seed),
        top_k=values.index.top_k,
        num_threads=values.encoder.num_threads,
        writer=values.writer,
    )
    with job_progress(Console(stderr=True), "evaluate") as update:
        study = run_writer_evaluation(plan, on_progress=update)
    Console().print(render_rich(study))
    typer.echo(str(out))
