"""Names for the studies and patients of a scanned folder that say nothing of them.

A pseudonym is a keyed hash: the same text and key give the same name, in every run and site that
share the key, and nobody without the key can check a guess. A patient's is made of the PatientID
of the images; the service makes it of a request's DICOM files, and `pirta pseudonym` for one that
sends none, so that a patient's own scans stay out of the evidence. Which texts are hashed for a
folder is told in `archive_scan`.
"""

from __future__ import annotations

import hashlib
import hmac
import io
import secrets
import zlib
from collections.abc import Iterable
from itertools import chain

from pydicom.filereader import read_partial
from pydicom.tag import Tag

from pirta.archive_settings import ArchiveSettings
from pirta.contracts.study import StudyImages
from pirta.errors import FileUnreadableError, SeriesError, SettingsError
from pirta.imaging.dicom.detect import has_preamble, is_dicom
from pirta.imaging.dicom.parse import reading

HEADER_BYTES = 65_536
_LAST = Tag("StudyInstanceUID")


def pseudonym_key(settings: ArchiveSettings) -> str:
    """Return the key of the pseudonyms; for a demo it may be empty.

    Raises:
        SettingsError: there is none, and this is no demo.
    """
    key = settings.pseudonym_key.get_secret_value()
    if not key and not settings.demo:
        raise SettingsError(
            "archive.pseudonym_key is not set: without it, whoever guesses a patient's id or a "
            "folder's name can check the guess against the pseudonyms.",
            remedy="Make one with `pirta pseudonym --make-key`, keep it secret and the same for "
            "all runs, and set PIRTA_ARCHIVE__PSEUDONYM_KEY; or set archive.demo where the data "
            "is nobody's.",
        )
    return key


def service_key(settings: ArchiveSettings) -> str | None:
    """Return the key by which a service names patients; None where no pseudonyms are made."""
    key = settings.pseudonym_key.get_secret_value()
    return key if key or settings.demo else None


def make_key() -> str:
    """Return a new key, of 256 random bits."""
    return secrets.token_hex(32)


def pseudonym(kind: str, text: str, key: str) -> str:
    """Return a name that says nothing of `text`; with a key it cannot be guessed either."""
    digest = hmac.new(key.encode(), f"{kind}\n{text}".encode(), hashlib.sha256).hexdigest()
    return f"{kind}-{digest[:16]}"


def name_patient(patient_id: str, key: str) -> str:
    """Return the pseudonym of a PatientID; spaces around it, which DICOM pads with, do not count.

    A study without DICOM files is named by the first part of its path instead.
    """
    return pseudonym("patient", patient_id.strip(), key)


def patient_pseudonym(files: Iterable[bytes], key: str) -> str | None:
    """Return the pseudonym of the one PatientID that the DICOM files tell; None: they tell none.

    Raises:
        SeriesError: they are of more than one patient.
    """
    found = {read_ids(data[:HEADER_BYTES])["PatientID"] for data in files if is_dicom(data)}
    names = {name_patient(patient_id, key) for patient_id in found if patient_id}
    if len(names) > 1:
        raise SeriesError(
            f"The folder or archive holds DICOM files of {len(names)} patients.",
            remedy="Put each patient's study into a folder of its own, and scan again.",
        )
    return names.pop() if names else None


def pseudonym_of_images(images: StudyImages, key: str) -> str | None:
    """Return what `patient_pseudonym` says of a study's images, an archive already opened.

    Raises:
        SeriesError: they are of more than one patient.
    """
    named = (images.dwi, images.adc, images.b0)
    files = chain(images.files.values(), (data for data in named if data is not None))
    return patient_pseudonym(files, key)


def read_ids(head: bytes) -> dict[str, str | None]:
    """Return PatientID and StudyInstanceUID of a DICOM file's first bytes, each None if untold.

    No element behind these two is looked at.
    """
    names = ("PatientID", "StudyInstanceUID")
    try:
        with reading("A file"):
            header = read_partial(
                io.BytesIO(head),
                stop_when=lambda tag, _vr, _length: int(tag) > int(_LAST),
                force=not has_preamble(head),
                specific_tags=[Tag(name) for name in names],
            )
            return {name: str(header.get(name) or "").strip() or None for name in names}
    except (FileUnreadableError, zlib.error):  # a deflated file that is cut off
        return dict.fromkeys(names)
