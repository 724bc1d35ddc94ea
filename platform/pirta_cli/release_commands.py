"""`pirta release`: build what is served together, and switch to it without losing a request."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pirta_cli import release_inspection, release_switch
from pirta_cli.options import SettingsOption, WorkersOption
from pirta_cli.release_session import ActorOption, ReleaseArgument

app = typer.Typer(
    help="Build a release, verify it, and switch to it while reports go on.\n\n"
    "A release is encoder, index and writer together. Its way: build, verify, stage (every "
    "replica loads it beside the one that answers), activate, and once another one is active: "
    "retire, drop.",
    no_args_is_help=True,
)

EXIT_REJECTED = 3

KeptOption = Annotated[
    str | None,
    typer.Option(
        "--embeddings",
        help="Folder where finished embeddings are kept, so that a run that was ended goes on; "
        "else STORE/embeddings.",
    ),
]


@app.command("build")
def build(
    store: Annotated[str, typer.Argument(help="Prepared store (`pirta preprocess`).")],
    settings: SettingsOption = None,
    split: Annotated[
        str, typer.Option(help="Which cases of the store enter the index; 'all' for every one.")
    ] = "index",
    min_similarity: Annotated[
        float, typer.Option(min=-1, max=1, help="Cosine below which a case is no evidence.")
    ] = -1.0,
    min_patients: Annotated[
        int, typer.Option(min=1, help="Different patients that the evidence holds at least.")
    ] = 1,
    abstention: Annotated[
        Path | None,
        typer.Option(
            help="Limits fitted for this encoder (`python -m train_jobs.fit_abstention`): where "
            "a report abstains. Cautious defaults where left out."
        ),
    ] = None,
    embeddings: KeptOption = None,
    num_workers: WorkersOption = 1,
    actor: ActorOption = None,
) -> None:
    """Embed a cohort, fill a collection in Milvus, and record the release.

    Prints the release's id. Building the same again changes nothing, and a
    build that was ended goes on. Withdrawn cases are left out.
    """
    from rich.console import Console

    from pirta.contracts.release import Calibration
    from pirta.pipelines.build_release import build_release
    from pirta.pipelines.fitted_limits import limits_for
    from pirta_cli.progress import job_progress
    from pirta_cli.release_session import release_session

    console = Console(stderr=True)
    with release_session(settings, actor=actor) as here:
        calibration = Calibration(
            min_similarity=min_similarity,
            min_patients=min_patients,
            abstention=limits_for(abstention, here.settings),
        )
        with job_progress(console, "build") as update:
            release = build_release(
                store,
                settings=here.settings,
                index=here.index,
                releases=here.releases,
                actor=here.actor,
                split=split,
                calibration=calibration,
                embeddings=embeddings,
                num_workers=num_workers,
                on_progress=update,
            )
        state = here.releases.get(release.release_id).state
    console.print(
        f"{release.num_cases} cases in {release.collection}; the release is {state}.",
        highlight=False,
        soft_wrap=True,
    )
    typer.echo(release.release_id)


@app.command("verify")
def verify(
    release_id: ReleaseArgument,
    golden: Annotated[
        str,
        typer.Option(
            help="STORE[:SPLIT] of held-out studies with known answers; the split is 'query' "
            "where left out."
        ),
    ],
    settings: SettingsOption = None,
    margin: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="So much may precision@1 be below the active release's."),
    ] = None,
    minimum: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Precision@1 of a first release, at the least."),
    ] = None,
    embeddings: KeptOption = None,
    num_workers: WorkersOption = 1,
    actor: ActorOption = None,
) -> None:
    """Measure a release against every gate; it is then verified, or rejected.

    Weights, rows and checksums, recall against exact search, held-out studies
    beside the active release, the writer, and no trace of a person in any row.
    Ends with code 3 where a gate failed.
    """
    from rich.console import Console

    from pirta.pipelines.verify_release import DEFAULT_LIMITS, verify_release
    from pirta_cli.progress import job_progress
    from pirta_cli.release_session import release_session
    from pirta_cli.release_views import gate_table

    limits = DEFAULT_LIMITS.with_golden(margin=margin, minimum=minimum)
    golden_store, golden_split = split_of(golden, otherwise="query")
    console = Console(stderr=True)
    with (
        release_session(settings, actor=actor) as here,
        job_progress(console, "verify") as update,
    ):
        gates = verify_release(
            release_id,
            settings=here.settings,
            index=here.index,
            releases=here.releases,
            golden_store=golden_store,
            golden_split=golden_split,
            actor=here.actor,
            limits=limits,
            embeddings=embeddings,
            num_workers=num_workers,
            on_step=update,
        )
    Console().print(gate_table(gates))
    if not all(gate.passed for gate in gates):
        console.print(f"{release_id} is rejected.", highlight=False)
        raise typer.Exit(EXIT_REJECTED)
    console.print(f"{release_id} is verified.", highlight=False)


def split_of(text: str, *, otherwise: str) -> tuple[str, str]:
    """Return store and split of `STORE[:SPLIT]`."""
    head, colon, tail = text.rpartition(":")
    # The colon of a scheme ("s3://") is followed by slashes and is none of ours.
    if colon and tail and "/" not in tail:
        return head, tail
    return text, otherwise


for _name, _command in release_switch.COMMANDS.items():
    app.command(_name)(_command)
for _name, _command in release_inspection.COMMANDS.items():
    app.command(_name)(_command)
