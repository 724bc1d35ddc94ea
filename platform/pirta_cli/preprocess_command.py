"""`pirta preprocess`: an archive's studies onto the encoder's grid, with Ray Data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from pirta_cli.options import SettingsOption, WorkersOption

if TYPE_CHECKING:  # Ray takes seconds to import
    from pirta.pipelines.preprocess import Progress


def preprocess(
    manifest: Annotated[
        str,
        typer.Argument(
            help="Parquet or CSV with case_id and study_uri (or dwi_uri and adc_uri), or a folder "
            "to scan for studies, which needs archive.pseudonym_key; local or any fsspec path."
        ),
    ],
    out: Annotated[
        str,
        typer.Argument(
            help="Folder of the prepared store, any fsspec path; resumed if begun, added to if "
            "it holds studies of other manifests."
        ),
    ],
    settings: SettingsOption = None,
    num_workers: WorkersOption = 2,
    site: Annotated[
        str, typer.Option(help="Site of the studies of a scanned folder, for its quality limits.")
    ] = "unknown",
    links: Annotated[
        str | None,
        typer.Option(
            help="File of the table that leads from a scanned folder's pseudonyms back to its "
            "paths, which may hold names: keep it with the archive. Else OUT/links.parquet.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Strip, resample, correct, normalise and judge every study of an archive.

    A study that cannot be used goes to OUT/dead_letter.parquet with its code, its reason and the
    quality gates. A run that was stopped goes on where it stopped.

    A manifest of new studies adds them to what OUT holds. A study of the manifest whose files or
    settings are named differently now is prepared again and takes its old place; one that the
    manifest does not name stays. To leave studies out, take another OUT.
    """
    from rich.console import Console

    from pirta.pipelines.preprocess import preprocess_cohort
    from pirta.settings import load_settings
    from pirta_cli.progress import job_progress

    console = Console(stderr=True)
    with job_progress(console, "preprocess") as update:
        summary = preprocess_cohort(
            manifest,
            out,
            settings=load_settings(settings),
            num_workers=num_workers,
            scan_site=site,
            links=links,
            on_progress=lambda now: update(
                now.num_done + now.num_refused, now.num_total, progress_note(now)
            ),
        )
    others = f", {summary.num_others} of earlier manifests" if summary.num_others else ""
    console.print(
        f"{summary.num_done} prepared, {summary.num_refused} refused{others}, "
        f"{summary.seconds:.0f} s",
        highlight=False,
    )
    typer.echo(out)


def progress_note(now: Progress) -> str:
    """Return the rate, the time that remains, and how many were refused."""
    parts = []
    if now.remaining_s is not None:
        parts.append(f"{now.rate_per_s * 60:.3g} studies/min")
        parts.append(f"{_duration(now.remaining_s)} left")
    return " · ".join([*parts, f"{now.num_refused} refused"])


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
