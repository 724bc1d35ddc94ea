"""`pirta evaluate`: what encoder and writer can and cannot do, in figures with intervals."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pirta_cli.evaluate_writer_command import writer
from pirta_cli.options import SettingsOption

if TYPE_CHECKING:
    from pirta.contracts.release import Release
    from pirta.settings import Settings

app = typer.Typer(help="Measure encoder and writer on held-out studies.", no_args_is_help=True)
app.command("writer")(writer)


@app.command("encoder")
def encoder(
    index: Annotated[str, typer.Option(help="Prepared store whose cases are retrieved.")],
    data: Annotated[
        list[str],
        typer.Option(help="[NAME=]STORE[:SPLIT] whose cases ask; may be given several times."),
    ],
    out: Annotated[Path, typer.Option(help="Folder to fill: JSON, Markdown, PNG, embeddings.")],
    index_split: Annotated[
        str, typer.Option(help="Split of the index store; 'all' for every case.")
    ] = "all",
    encoder_path: Annotated[
        Path | None, typer.Option("--encoder", help="Encoder's folder; else the release's.")
    ] = None,
    release: Annotated[
        str | None,
        typer.Option(help="Id of the release whose encoder it is (`pirta release list`)."),
    ] = None,
    validation: Annotated[
        str | None,
        typer.Option(
            help="STORE[:SPLIT] that chooses threshold and temperature; "
            "else the index store's split 'val'."
        ),
    ] = None,
    compare: Annotated[
        Path | None, typer.Option(help="A second encoder's folder, on the same cases.")
    ] = None,
    num_resamples: Annotated[int, typer.Option(min=0, help="Bootstrap resamples.")] = 1000,
    num_permutations: Annotated[int, typer.Option(min=0, help="Of the site probe.")] = 100,
    seed: Annotated[int, typer.Option(min=0, help="Of bootstrap, probe and projection.")] = 0,
    settings: SettingsOption = None,
) -> None:
    """Retrieval, classes, calibration and a site probe, each figure with its 95 % interval.

    Without `--encoder` and `--release` it is the settings' `encoder.path`. A patient's own cases
    never count as neighbours. Embeddings are kept in the folder: a second run is quick.
    """
    from rich.console import Console

    from pirta.evaluation.encoder_evaluation import EvaluationOptions
    from pirta.evaluation.tables import render_rich
    from pirta.settings import load_settings
    from pirta_cli.progress import job_progress
    from train_jobs.evaluate_encoder import EvaluationPlan, run_evaluation
    from train_jobs.evaluation_data import parse_data

    values = load_settings(settings)
    record = None if release is None else _stored_release(values, release)
    plan = EvaluationPlan(
        encoder=encoder_path or (Path(record.encoder_path) if record else values.encoder.path),
        index=parse_data(f"{index}:{index_split}"),
        data=tuple(parse_data(text) for text in data),
        out=out,
        validation=None if validation is None else parse_data(validation),
        compare=compare,
        release=record,
        options=EvaluationOptions(num_resamples=num_resamples, seed=seed),
        num_permutations=num_permutations,
        num_threads=values.encoder.num_threads,
    )
    with job_progress(Console(stderr=True), "evaluate") as update:
        study = run_evaluation(plan, on_progress=update)
    Console().print(render_rich(study))
    typer.echo(str(out))


def _stored_release(settings: Settings, release_id: str) -> Release:
    from pirta_cli.release_session import release_session

    with release_session(settings) as here:
        return here.releases.get(release_id).release


@app.command("pretraining")
def pretraining(
    data: Annotated[str, typer.Option(help="Prepared store with the splits train and val.")],
    external: Annotated[
        list[str],
        typer.Option(help="Prepared store of other hospitals; may be given several times."),
    ],
    out: Annotated[Path, typer.Option(help="Folder of the experiment; resumed if begun.")],
    plan: Annotated[str, typer.Option(help="Named plan: demo, gpu, paper or tiny.")] = "demo",
    without_ray: Annotated[
        bool, typer.Option("--without-ray", help="Train in this process, without Ray.")
    ] = False,
    settings: SettingsOption = None,
) -> None:
    """The paper's tables 4 and 6: no, small and large pretraining, at home and elsewhere."""
    from pirta.settings import load_settings
    from train_jobs.experiment_plans import find_plan
    from train_jobs.pretraining_experiment import run_experiment

    run_experiment(
        find_plan(plan),
        store=data,
        external=external,
        out=out,
        num_threads=load_settings(settings).encoder.num_threads,
        with_ray=not without_ray,
        tell=lambda line: typer.echo(line, err=True),
    )
    typer.echo((out / "experiment.md").read_text(encoding="utf-8"))
