"""Whose image it is and of which study: told apart by digests, so that no identifier is kept.

One diffusion pair comes from one patient and one study, or it is refused. Which patient it is,
is not known here; an empty identifier says nothing and contradicts nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from pydicom.dataset import Dataset

from pirta.errors import SeriesError
from pirta.imaging.dicom.private import text_of


@dataclass(frozen=True)
class Origin:
    """Digests of the patient's and the study's identifiers; empty where there is none."""

    patient: str
    study: str


def origin_of(dataset: Dataset) -> Origin:
    """Return whose and of which study an image is."""
    return Origin(_digest(dataset, "PatientID"), _digest(dataset, "StudyInstanceUID"))


def check_one_origin(origins: Iterable[Origin]) -> None:
    """Refuse images of several patients or of several studies.

    Raises:
        SeriesError: with how many there are.
    """
    found = set(origins)
    num_patients = len({one.patient for one in found} - {""})
    num_studies = len({one.study for one in found} - {""})
    if num_patients > 1:
        raise SeriesError(
            f"The diffusion images are of {num_patients} patients.",
            remedy="Send one patient's study; check how these files came together.",
        )
    if num_studies > 1:
        raise SeriesError(
            f"The diffusion images are of {num_studies} studies.",
            remedy="Send one study at a time: the images of one examination.",
        )


def _digest(dataset: Dataset, keyword: str) -> str:
    text = text_of(dataset.get(keyword))
    return hashlib.sha256(text.encode()).hexdigest() if text else ""
