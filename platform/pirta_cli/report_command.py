"""`pirta report`: one study to the running service, one report back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

DEFAULT_URL = "http://127.0.0.1:8000"


def report(
    study: Annotated[
        Path | None,
        typer.Option(
            help="A whole study: a folder or an archive (zip, tar, tar.gz) of DICOM files or of "
            "NIfTI files with their sidecars, or one Enhanced DICOM file."
        ),
    ] = None,
    dwi: Annotated[
        Path | None, typer.Option(help="DWI (trace) volume: NIfTI, MetaImage or Enhanced DICOM.")
    ] = None,
    adc: Annotated[Path | None, typer.Option(help="ADC map on the same grid, in any unit.")] = None,
    b0: Annotated[
        Path | None,
        typer.Option(help="b0 volume on the same grid; with --b-value it stands in for --adc."),
    ] = None,
    b_value: Annotated[
        float | None, typer.Option(help="The DWI's b value in s/mm², where no file tells.")
    ] = None,
    registry: Annotated[
        Path | None,
        typer.Option(help="JSON: age_years, sex, presentation, nihss, history; all optional."),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the report contract as JSON.")
    ] = False,
    url: Annotated[
        str, typer.Option(envvar="PIRTA_URL", help="Address of the running service.")
    ] = DEFAULT_URL,
    token: Annotated[
        str | None, typer.Option(envvar="PIRTA_TOKEN", help="Bearer token, where one is wanted.")
    ] = None,
    study_id: Annotated[
        str | None, typer.Option(help="Pseudonymous study id; made up where left out.")
    ] = None,
    patient_id: Annotated[
        str | None,
        typer.Option(help="Patient pseudonym: keeps the patient's own scans out of the evidence."),
    ] = None,
    site: Annotated[
        str | None,
        typer.Option(
            envvar="PIRTA_SITE",
            help="Site of the study, for its quality limits; a site's token overrules it.",
        ),
    ] = None,
    timeout_s: Annotated[float, typer.Option(help="Longest time to wait for the report.")] = 180.0,
) -> None:
    """Write a preliminary report for a study, with its evidence.

    Give --study, or --dwi with --adc, or --dwi with --b0 and --b-value. The
    service must be running: `pirta serve`, or `make demo`.
    """
    from rich.console import Console

    from pirta.reporting.render import render_rich
    from pirta_cli.service_client import ServiceClient, read_registry_file, read_study_folder

    named = {"dwi": dwi, "adc": adc, "b0": b0}
    _check_options(study, named, b_value)
    client = ServiceClient(url, token=token, timeout_s=timeout_s)
    result = client.report(
        **_read(named),
        study=read_study_folder(study) if study else None,
        b_value_s_mm2=b_value,
        registry=read_registry_file(registry) if registry else None,
        study_id=study_id,
        patient_id=patient_id,
        site=site,
    )
    if as_json:
        typer.echo(json.dumps(result.model_dump(mode="json"), indent=2, ensure_ascii=False))
    else:
        Console().print(render_rich(result))


def _check_options(
    study: Path | None, named: dict[str, Path | None], b_value: float | None
) -> None:
    """Refuse options that make no study, before anything is read or sent.

    Raises:
        InputError: says which go together.
    """
    from pirta.errors import InputError

    given = {name for name, path in named.items() if path is not None}
    whole = study is not None and not given
    pair = study is None and {"dwi", "adc"} <= given
    fit = study is None and given == {"dwi", "b0"} and b_value is not None
    if whole or pair or fit:
        return
    shown = [f"--{name}" for name, path in {"study": study, **named}.items() if path is not None]
    raise InputError(
        f"{' and '.join(shown) or 'No image option'} makes no study.",
        remedy="Give --study, or --dwi and --adc, or --dwi, --b0 and --b-value.",
    )


def _read(named: dict[str, Path | None]) -> dict[str, bytes]:
    from pirta_cli.service_client import read_study_file

    roles = {"dwi": "DWI", "adc": "ADC", "b0": "b0"}
    return {
        name: read_study_file(path, role=roles[name])
        for name, path in named.items()
        if path is not None
    }
