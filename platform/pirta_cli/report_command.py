"""`pirta report`: one DWI/ADC pair to the running service, one report back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

DEFAULT_URL = "http://127.0.0.1:8000"


def report(
    dwi: Annotated[Path, typer.Option(help="DWI (trace) volume, NIfTI.")],
    adc: Annotated[Path, typer.Option(help="ADC map on the same grid, NIfTI; any unit.")],
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
    timeout_s: Annotated[float, typer.Option(help="Longest time to wait for the report.")] = 180.0,
) -> None:
    """Write a preliminary report for a DWI/ADC pair, with its evidence.

    The service must be running: `pirta serve`, or `make demo`.
    """
    from rich.console import Console

    from pirta.reporting.render import render_rich
    from pirta_cli.service_client import ServiceClient, read_registry_file, read_study_file

    client = ServiceClient(url, token=token, timeout_s=timeout_s)
    result = client.report(
        dwi=read_study_file(dwi, role="DWI"),
        adc=read_study_file(adc, role="ADC"),
        registry=read_registry_file(registry) if registry else None,
        study_id=study_id,
        patient_id=patient_id,
    )
    if as_json:
        typer.echo(json.dumps(result.model_dump(mode="json"), indent=2, ensure_ascii=False))
    else:
        Console().print(render_rich(result))
