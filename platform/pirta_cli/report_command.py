"""`pirta report`: one study to the running service, one report back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pirta_cli.options import SettingsOption
from pirta_cli.report_output import ReportForm

if TYPE_CHECKING:
    from pirta.contracts.study import StudyImages
    from pirta.reporting.evidence_picture import Panel

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
    form: Annotated[
        ReportForm,
        typer.Option(
            "--format",
            help="terminal: panels; text: the paper's form; json: the contract; pdf: with the "
            "study's images.",
        ),
    ] = ReportForm.TERMINAL,
    out: Annotated[
        Path | None, typer.Option(help="File to write, in place of the terminal; a PDF wants one.")
    ] = None,
    store: Annotated[
        str | None,
        typer.Option(help="Prepared store of the release: the PDF then shows the similar cases."),
    ] = None,
    settings: SettingsOption = None,
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
    service must be running: `pirta serve`, or `make demo`. For a PDF the
    study is prepared here once more (--settings as the service has them).
    """
    from pirta_cli.report_output import check_form, hand_over
    from pirta_cli.service_client import ServiceClient, read_registry_file, read_study_folder

    check_form(form, out)
    named = {"dwi": dwi, "adc": adc, "b0": b0}
    _check_options(study, named, b_value)
    client = ServiceClient(url, token=token, timeout_s=timeout_s)
    images = _read(named)
    whole = read_study_folder(study) if study else None
    result = client.report(
        **images,
        study=whole,
        b_value_s_mm2=b_value,
        registry=read_registry_file(registry) if registry else None,
        study_id=study_id,
        patient_id=patient_id,
        site=site,
    )

    def pictures() -> tuple[Panel, tuple[Panel, ...]]:
        from pirta_cli.report_pictures import prepared_panel, stored_panels

        neighbours = () if store is None else stored_panels(result, store, with_query=False)[1]
        sent = _as_images(images, whole, b_value)
        return prepared_panel(result, sent, settings=settings), neighbours

    hand_over(result, form, out, pictures=pictures)


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


def _as_images(
    named: dict[str, bytes], whole: bytes | None, b_value_s_mm2: float | None
) -> StudyImages:
    """Return what was sent as the service reads it."""
    from pirta.contracts.study import StudyImages

    files = {} if whole is None else {"study": whole}
    return StudyImages(**named, files=files, b_value_s_mm2=b_value_s_mm2)


def _read(named: dict[str, Path | None]) -> dict[str, bytes]:
    from pirta_cli.service_client import read_study_file

    roles = {"dwi": "DWI", "adc": "ADC", "b0": "b0"}
    return {
        name: read_study_file(path, role=roles[name])
        for name, path in named.items()
        if path is not None
    }
