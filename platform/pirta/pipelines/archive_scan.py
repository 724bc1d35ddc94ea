"""Find the studies in a folder of a hospital's archive, and give them pseudonyms.

The rule: a study is a folder that directly holds image files (NIfTI, MetaImage, DICOM), or one
archive file (.zip, .tar, .tar.gz, .tgz). Folders side by side whose DICOM files say the same
StudyInstanceUID are the series of one study: then the folder above them is the study. Hidden
folders and files, and BIDS `derivatives`, are passed over.

A folder's name may hold a patient's, so case and patient are named by (keyed) hashes of the
path below the scanned folder: the case by all of it, the patient by its first part, or by the
DICOM PatientID once a study has been read. What leads back from a pseudonym to a path is the
links table, the one file with such names in it.
"""

from __future__ import annotations

import hashlib
import hmac
import io
import posixpath
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pydicom

from pirta.cohort.store_files import failures, open_filesystem, whole_file
from pirta.errors import ManifestError
from pirta.imaging.dicom.detect import is_dicom
from pirta.imaging.dicom.parse import PARSE_ERRORS

_IMAGE_SUFFIXES = (".nii", ".nii.gz", ".mha")
_ARCHIVE_SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz")
_OTHER_SUFFIXES = (".json", ".bval", ".bvec", ".txt", ".csv", ".tsv", ".xml", ".md", ".pdf",
                   ".png", ".jpg", ".parquet")  # fmt: skip
_SKIPPED_FOLDERS = frozenset({"derivatives"})
_MAX_LOOKS = 5  # files opened in a folder to find a DICOM one
_HEADER_BYTES = 65_536
_BATCH_ROWS = 1024
_SCHEMA = pa.schema({name: pa.string() for name in ("case_id", "patient_id", "site", "study_uri")})


def scan_to_table(root: str, table: str, *, key: str, site: str = "unknown") -> int:
    """Write the studies below `root` as a manifest, and return how many there are.

    Raises:
        ManifestError: there is none.
        StoreError: the table cannot be written.
    """
    found = scan(root)
    first = next(found, None)
    if first is None:
        raise ManifestError(
            "The folder to scan holds no study: no NIfTI, MetaImage, DICOM or archive file.",
            remedy="Name the archive's top folder, or a manifest.",
        )
    count = 0
    with whole_file(table) as file, pq.ParquetWriter(file, _SCHEMA) as writer:
        paths: list[str] = [first]
        while paths:
            rows = [_row(path, key, site) for path in paths]
            writer.write_table(pa.Table.from_pylist(rows, schema=_SCHEMA))
            count += len(rows)
            paths = list(islice(found, _BATCH_ROWS))
    return count


def scan(root: str) -> Iterator[str]:
    """Yield the path of each study below `root`, relative to it, each once.

    Raises:
        ManifestError: a folder or a file in it may not be read.
    """
    filesystem, top = open_filesystem(root)
    try:
        yield from _scan_folder(filesystem, top.rstrip("/"), "")
    except failures() as error:
        raise ManifestError(
            f"A part of the folder to scan cannot be read ({type(error).__name__}).",
            remedy="Check permissions and, for a bucket, the address and credentials.",
        ) from None


def pseudonym(kind: str, text: str, key: str) -> str:
    """Return a name that says nothing of `text`; with a key it cannot be guessed either."""
    digest = hmac.new(key.encode(), f"{kind}\n{text}".encode(), hashlib.sha256).hexdigest()
    return f"{kind}-{digest[:16]}"


def patient_pseudonym(files: Iterable[bytes], key: str) -> str | None:
    """Return the pseudonym of the PatientID that the first DICOM file with one tells."""
    for data in files:
        if is_dicom(data):
            patient_id = _value(data[:_HEADER_BYTES], "PatientID")
            if patient_id:
                return pseudonym("patient", patient_id, key)
    return None


def _row(path: str, key: str, site: str) -> dict[str, str]:
    return {
        "case_id": pseudonym("scan", path, key),
        "patient_id": pseudonym("patient", path.split("/", 1)[0], key),
        "site": site,
        "study_uri": path or ".",
    }


def _scan_folder(filesystem: Any, top: str, folder: str) -> Iterator[str]:
    """Yield the studies of a folder: archives in it, itself, and those below it."""
    here = posixpath.join(top, folder) if folder else top
    files, below = _listing(filesystem, here)
    yield from (_below(folder, name) for name in files if name.lower().endswith(_ARCHIVE_SUFFIXES))
    if _holds_images(filesystem, here, files):
        yield folder
        for name in below:
            yield from _scan_folder(filesystem, top, _below(folder, name))
        return
    if below and _are_series_of_one_study(filesystem, here, below):
        yield folder
        return
    for name in below:
        yield from _scan_folder(filesystem, top, _below(folder, name))


def _are_series_of_one_study(filesystem: Any, here: str, below: list[str]) -> bool:
    """Say whether every folder below holds DICOM files, and all name the same study."""
    first: str | None = None
    for name in below:
        path = posixpath.join(here, name)
        files, deeper = _listing(filesystem, path)
        uid = None if deeper else _study_uid(filesystem, path, files)
        if uid is None or (first is not None and uid != first):
            return False
        first = uid
    return len(below) > 1


def _holds_images(filesystem: Any, here: str, files: list[str]) -> bool:
    if any(name.lower().endswith(_IMAGE_SUFFIXES) for name in files):
        return True
    return next(_dicom_heads(filesystem, here, files), None) is not None


def _study_uid(filesystem: Any, here: str, files: list[str]) -> str | None:
    heads = _dicom_heads(filesystem, here, files)
    return next(filter(None, (_value(head, "StudyInstanceUID") for head in heads)), None)


def _value(head: bytes, keyword: str) -> str | None:
    """Return one value of a DICOM header, None where it is not there or cut off."""
    try:
        header = pydicom.dcmread(
            io.BytesIO(head), stop_before_pixels=True, force=True, specific_tags=[keyword]
        )
        value = header.get(keyword)
    except PARSE_ERRORS:
        return None
    return str(value).strip() or None if value is not None else None


def _dicom_heads(filesystem: Any, here: str, files: list[str]) -> Iterator[bytes]:
    """Yield the beginnings of the first DICOM files of a folder, looking at a few only."""
    known = (*_IMAGE_SUFFIXES, *_ARCHIVE_SUFFIXES, *_OTHER_SUFFIXES)
    candidates = [name for name in files if not name.lower().endswith(known)]
    for name in candidates[:_MAX_LOOKS]:
        with filesystem.open(posixpath.join(here, name), "rb") as file:
            head: bytes = file.read(_HEADER_BYTES)
        if is_dicom(head):
            yield head


def _listing(filesystem: Any, path: str) -> tuple[list[str], list[str]]:
    """Return the names of the files and of the folders in a folder, sorted."""
    files: list[str] = []
    folders: list[str] = []
    for entry in filesystem.ls(path, detail=True):
        name = posixpath.basename(str(entry["name"]).rstrip("/"))
        if not name or name.startswith(".") or name in _SKIPPED_FOLDERS:
            continue
        (folders if entry["type"] == "directory" else files).append(name)
    return sorted(files), sorted(folders)


def _below(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name
