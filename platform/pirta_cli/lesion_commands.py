"""`pirta cohort hosts | insert | sizes | bids`: lesions put into normals, masks read as labels."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pirta.contracts.finding import Label, Laterality
from pirta_cli.options import SettingsOption, WorkersOption

if TYPE_CHECKING:  # numpy and the cohort take time to import
    from pirta.contracts.study import StudyImages
    from pirta.pipelines.lesion_sets import LesionSetSummary, Requests

SeedOption = Annotated[int, typer.Option(min=0, help="Decides every lesion.")]
NormalsOption = Annotated[
    bool, typer.Option(help="Keep the normals beside the strokes, for the specificity.")
]
SplitOption = Annotated[
    str | None, typer.Option(help="Split of the new rows; default: each row's own.")
]
FromSplitOption = Annotated[str | None, typer.Option(help="Take the normals of this split only.")]


def hosts(
    store: Annotated[str, typer.Argument(help="Prepared store that holds normal studies.")],
    out: Annotated[str, typer.Argument(help="New prepared store, any fsspec path.")],
    split: Annotated[
        str, typer.Option(help="Split of the new rows; training reads its guests from 'train'.")
    ] = "train",
    all_normal: Annotated[
        bool,
        typer.Option(
            "--all-normal",
            help="You state that studies with neither a finding nor a report text (those of a "
            "scanned folder) are normal; without it they are refused.",
        ),
    ] = False,
) -> None:
    """Give each normal study a territory map, so that lesions can be put in.

    Normal is a row whose report text says so, or any that says nothing with --all-normal: an
    infarct among them would be learnt as normal. All rows get the split 'train', or --split.

    Map and midline are found by registration to MNI152; DWI of another b value is brought to
    b 1000, and a row that tells no b value is taken as b 1000. A brain that does not match the
    template goes to OUT/dead_letter.parquet with its reason.
    """
    from rich.console import Console

    from pirta.pipelines.hosts import make_hosts
    from pirta_cli.progress import job_progress

    console = Console(stderr=True)
    with job_progress(console, "hosts") as update:
        summary = make_hosts(
            store,
            out,
            split=split,
            all_normal=all_normal,
            on_progress=lambda done, total: update(done, total, ""),
        )
    console.print(
        f"{summary.num_hosts} hosts, {summary.num_refused} refused, "
        f"{summary.num_strokes} strokes passed over{_assumed(summary.num_b_assumed)}",
        highlight=False,
    )
    typer.echo(out)


def insert(
    source: Annotated[
        str,
        typer.Argument(
            help="Prepared store with normals; or one normal study: a folder, an archive, an "
            "Enhanced DICOM, a 4D NIfTI, or a DWI file with --adc."
        ),
    ],
    out: Annotated[str, typer.Argument(help="New store, or new cohort folder of the study.")],
    label: Annotated[
        Label | None, typer.Option(help="Territory of every lesion; default: they go round.")
    ] = None,
    side: Annotated[Laterality | None, typer.Option(help="Side; default: drawn.")] = None,
    volume_ml: Annotated[
        float | None, typer.Option(help="Volume of each lesion's mask; default: drawn.")
    ] = None,
    count: Annotated[int, typer.Option(min=1, help="Lesions a normal study.")] = 3,
    seed: SeedOption = 0,
    normals: NormalsOption = True,
    split: SplitOption = None,
    from_split: FromSplitOption = None,
    adc: Annotated[Path | None, typer.Option(help="ADC map beside a DWI file.")] = None,
    b_value: Annotated[
        float | None, typer.Option(help="b value of the DWI in s/mm2, where files do not tell.")
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(
            help="Pseudonym of a single study: it enters ids and file names; default: normal."
        ),
    ] = None,
    settings: SettingsOption = None,
) -> None:
    """Put fresh lesions into normal studies, with mask, finding and volume known.

    A store's normals become a new store, whose strokes say their lesion_ml; a row that tells no b
    value is taken as b 1000, and one that does not say what it shows is refused. A single study
    becomes a cohort folder on its own grid, for `pirta preprocess OUT/cohort.parquet`; --adc,
    --b-value and --name are for it, --from-split and --no-normals for a store.
    """
    from functools import partial

    from pirta.cohort.lesion_requests import LesionRequest, requests_as_patients
    from pirta.cohort.prepared_store import is_finished

    LesionRequest(label, side, volume_ml)  # refuses before anything is read
    requests = partial(
        requests_as_patients, count=count, label=label, laterality=side, volume_ml=volume_ml
    )
    if is_finished(source):
        _refuse({"--adc": adc, "--b-value": b_value, "--name": name}, "a prepared store")
        _fill_store(source, out, requests, seed, split, from_split, normals)
        return
    _refuse(
        {"--from-split": from_split, "--no-normals": None if normals else True}, "a single study"
    )
    from pirta.imaging.strip import make_stripper
    from pirta.pipelines.native_insertion import read_host, write_native_set
    from pirta.settings import load_settings

    host = read_host(
        _study(source, adc),
        stripper=make_stripper(load_settings(settings).preprocessing),
        b_value_s_mm2=b_value,
    )
    typer.echo(
        write_native_set(
            host, requests(0), out, name=name or "normal", seed=seed, split=split or "index"
        )
    )


def sizes(
    store: Annotated[str, typer.Argument(help="Prepared store that holds normal studies.")],
    out: Annotated[str, typer.Argument(help="New prepared store, any fsspec path.")],
    smallest_ml: Annotated[float, typer.Option(help="Smallest volume.")] = 0.05,
    largest_ml: Annotated[float, typer.Option(help="Largest volume.")] = 50.0,
    a_decade: Annotated[int, typer.Option(min=1, help="Volumes a decade.")] = 4,
    every: Annotated[
        bool,
        typer.Option(
            help="Each volume in every territory and on both sides of each normal (six times as "
            "many, 2 MB each); else they go round from normal to normal."
        ),
    ] = False,
    seed: SeedOption = 0,
    normals: NormalsOption = True,
    split: SplitOption = None,
    from_split: FromSplitOption = None,
) -> None:
    """Make an evaluation set by lesion size: fixed volumes on a logarithmic grid.

    Each row says the mask's volume as lesion_ml. A volume that a territory cannot hold goes to
    OUT/dead_letter.parquet. A row that tells no b value is taken as b 1000; one that does not say
    what it shows is refused.
    """
    from functools import partial

    from pirta.cohort.lesion_requests import requests_by_size, volumes_by_size

    volumes = volumes_by_size(range_ml=(smallest_ml, largest_ml), a_decade=a_decade)
    requests = partial(requests_by_size, volumes_ml=volumes, every=every)
    _fill_store(store, out, requests, seed, split, from_split, normals)


def bids(
    folder: Annotated[
        str,
        typer.Argument(
            help="BIDS-like folder with DWI, ADC and, under derivatives, *_msk.nii.gz: ISLES 2022 "
            "as published."
        ),
    ],
    out: Annotated[str, typer.Argument(help="New prepared store, any fsspec path.")],
    site: Annotated[str, typer.Option(help="Site of all studies, for quality limits.")] = "bids",
    split: Annotated[str, typer.Option(help="Split of all rows.")] = "test",
    num_workers: WorkersOption = 2,
    settings: SettingsOption = None,
) -> None:
    """Make an evaluation set of a BIDS folder: labels come from the masks.

    Each brain is registered to MNI152; the territory with the largest share of the mask wins, and
    all shares stand in the row. An empty mask is a normal study. A study that cannot be used goes
    to OUT/dead_letter.parquet with its reason.
    """
    from rich.console import Console

    from pirta.pipelines.bids_sets import BidsOptions, make_bids_set
    from pirta.settings import load_settings
    from pirta_cli.progress import job_progress

    console = Console(stderr=True)
    with job_progress(console, "bids") as update:
        summary = make_bids_set(
            folder,
            out,
            settings=load_settings(settings),
            options=BidsOptions(site=site, split=split),
            num_workers=num_workers,
            on_progress=lambda done, total: update(done, total, ""),
        )
    console.print(
        f"{summary.num_strokes} strokes, {summary.num_normals} normals, "
        f"{summary.num_refused} refused",
        highlight=False,
    )
    typer.echo(out)


def _fill_store(
    store: str,
    out: str,
    requests: Requests,
    seed: int,
    split: str | None,
    from_split: str | None,
    normals: bool,
) -> None:
    from rich.console import Console

    from pirta.pipelines.lesion_sets import make_lesion_set
    from pirta_cli.progress import job_progress

    console = Console(stderr=True)
    with job_progress(console, "lesions") as update:
        summary = make_lesion_set(
            store,
            out,
            requests,
            seed=seed,
            split=split,
            source_split=from_split,
            keep_normals=normals,
            on_progress=lambda done, total: update(done, total, ""),
        )
    console.print(_told(summary), highlight=False)
    typer.echo(out)


def _told(summary: LesionSetSummary) -> str:
    return (
        f"{summary.num_lesions} lesions, {summary.num_normals} normals kept, "
        f"{summary.num_refused} refused{_assumed(summary.num_b_assumed)}"
    )


def _assumed(num_b_assumed: int) -> str:
    return f"; {num_b_assumed} tell no b value: taken as b 1000" if num_b_assumed else ""


def _refuse(options: Mapping[str, object], source: str) -> None:
    """Refuse options that say nothing about what was named.

    Raises:
        InputError: one of them was given.
    """
    from pirta.errors import InputError

    given = [name for name, value in options.items() if value is not None]
    if given:
        raise InputError(
            f"{' and '.join(given)} cannot be used: {source} was named.",
            remedy="Leave it out, or name another source.",
        )


def _study(source: str, adc: Path | None) -> StudyImages:
    from pirta.contracts.study import StudyImages
    from pirta.imaging.collect import collect_files
    from pirta.imaging.nifti import read_file

    if adc is None:
        return StudyImages(files=collect_files(source))
    return StudyImages(dwi=read_file(source, role="DWI"), adc=read_file(adc, role="ADC"))
