"""`pirta pseudonym`: the name under which a scanned archive knows a patient, and keys for it.

The same key and id give the same name everywhere. Nothing is sent or stored, and the id is not
repeated in any message.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from pirta_cli.options import SettingsOption


def pseudonym(
    patient_id: Annotated[
        str | None,
        typer.Argument(
            help="PatientID as the DICOM files tell it; for studies without DICOM the top folder "
            "of their path. Left out: read from standard input, one a line, which keeps it out of "
            "the shell's history.",
            show_default=False,
        ),
    ] = None,
    make_key: Annotated[
        bool, typer.Option("--make-key", help="Print a new archive.pseudonym_key instead.")
    ] = False,
    settings: SettingsOption = None,
) -> None:
    """Print the pseudonym of a patient, as `pirta preprocess FOLDER` gives it.

    Send it as the patient_id of a request (`pirta report --patient-id`): then the patient's own
    scans stay out of the evidence. It needs the archive.pseudonym_key that the archive was
    prepared with.
    """
    from pirta.errors import InputError
    from pirta.pipelines.pseudonyms import make_key as new_key
    from pirta.pipelines.pseudonyms import name_patient, pseudonym_key
    from pirta.settings import load_settings

    if make_key:
        typer.echo(new_key())
        return
    key = pseudonym_key(load_settings(settings).archive)
    given = [patient_id] if patient_id is not None else sys.stdin.read().splitlines()
    ids = [one for one in given if one.strip()]
    if not ids:
        raise InputError(
            "No patient id was given.",
            remedy="Name one, or write it to standard input, one a line.",
        )
    for one in ids:
        typer.echo(name_patient(one, key))
