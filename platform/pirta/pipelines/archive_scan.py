"""Find the studies in a folder of a hospital's archive, and give them pseudonyms.

The rule: a study is a folder that directly holds image files (NIfTI, MetaImage, DICOM), or one
archive file (.zip, .tar, .tar.gz, .tgz). Where all DICOM folders below one folder, and that
folder itself, say the same StudyInstanceUID, they are the series of one study, and the study is
that folder with all below it; folders without DICOM in between do not count. Any other folder
with images and with folders below is a study of its own files alone (`FOLDER/*`), and what lies
below are studies of their own. So no file is part of two DICOM studies, and no visit is lost.
Hidden folders and files, BIDS `derivatives`, and DICOMDIR, which is no image, are passed over.

A folder's name may hold a patient's, so case and patient are named by keyed hashes (`pseudonyms`)
of the path below the scanned folder: the case by all of it, the patient by its first part, or by
the DICOM PatientID once a study has been read. What leads back from a pseudonym to a path is the
links table, the one file with such names in it. A flat folder of several studies is not taken
apart here: its reader refuses it, and says why.
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.parquet as pq

from pirta.cohort.store_files import exists, open_filesystem, whole_file
from pirta.errors import ManifestError
from pirta.imaging.dicom.detect import is_dicom
from pirta.pipelines.pseudonyms import HEADER_BYTES, name_patient, pseudonym, read_ids
from pirta.storage_errors import storage_errors

_IMAGE_SUFFIXES = (".nii", ".nii.gz", ".mha")
_ARCHIVE_SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz")
_OTHER_SUFFIXES = (".json", ".bval", ".bvec", ".txt", ".csv", ".tsv", ".xml", ".md", ".pdf",
                   ".png", ".jpg", ".parquet")  # fmt: skip
_DICOM_SUFFIXES = frozenset({"", ".dcm", ".ima", ".dicom", ".mr"})
_SKIPPED_FOLDERS = frozenset({"derivatives"})
_DIRECTORY_FILE = "DICOMDIR"
_FIRST_BYTES = 512  # enough to tell DICOM; most files of a folder without images are no more
_BATCH_ROWS = 1024
_COLUMNS = ("case_id", "patient_id", "site", "study_uri", "root")
_SCHEMA = pa.schema({name: pa.string() for name in _COLUMNS})

_Links: TypeAlias = dict[str, str]
_Sizes: TypeAlias = dict[str, int]


@dataclass(frozen=True)
class _Study:
    """A study that was found.

    Attributes:
        folder: path below the root.
        uid: its StudyInstanceUID; empty: no DICOM file tells one; None: there is no DICOM file.
    """

    folder: str
    uid: str | None = None
    is_own_files_only: bool = False

    @property
    def uri(self) -> str:
        """What `collect_files` takes, relative to the root."""
        if self.is_own_files_only:
            return _below(self.folder, "*")
        return self.folder or "."


def scan_to_table(root: str, table: str, *, key: str, site: str = "unknown") -> int:
    """Write the studies below `root` as a manifest, and return how many there are.

    Rows of an earlier scan into the same table whose studies are not found now come behind them,
    so that every pseudonym of a store leads back.

    Raises:
        ManifestError: there is none; or the table that is there is damaged, or leads from the
            same pseudonyms to another folder.
        StoreError: the table cannot be written.
    """
    found = _scan(root)
    first = next(found, None)
    if first is None:
        raise ManifestError(
            "The folder to scan holds no study: no NIfTI, MetaImage, DICOM or archive file.",
            remedy="Name the archive's top folder, or a manifest.",
        )
    seen: set[str] = set()
    with whole_file(table) as file, pq.ParquetWriter(file, _SCHEMA) as writer:
        top = _address(root)
        rows = ({**_row(study, key, site), "root": top} for study in chain([first], found))
        for batch in _batches(rows):
            seen.update(row["case_id"] for row in batch)
            writer.write_table(pa.Table.from_pylist(batch, schema=_SCHEMA))
        for batch in _batches(_others(_rows_of(table), seen, top)):
            writer.write_table(pa.Table.from_pylist(batch, schema=_SCHEMA))
    return len(seen)


def _address(root: str) -> str:
    filesystem, inside = open_filesystem(root)
    return str(filesystem.unstrip_protocol(inside)).rstrip("/")


def _others(rows: Iterable[_Links], seen: set[str], root: str) -> Iterator[_Links]:
    """Yield the rows whose studies were not found now.

    Raises:
        ManifestError: one that was found has its pseudonym from another folder already.
    """
    num_taken = 0
    for row in rows:
        if row["case_id"] not in seen:
            yield row
        elif row["root"] != root:
            num_taken += 1
    if num_taken:
        raise ManifestError(
            f"{num_taken} studies of the folder lie where studies of another folder lay that was "
            "scanned into this output: pseudonyms are made of paths below the scanned folder.",
            remedy="Scan the folder above both, or take another output. Where the folder was only "
            "moved, remove the links table first: the scan writes it anew.",
        )


def _batches(rows: Iterable[_Links]) -> Iterator[list[_Links]]:
    left = iter(rows)
    while batch := list(islice(left, _BATCH_ROWS)):
        yield batch


def _rows_of(table: str) -> Iterator[_Links]:
    """Yield the rows of the table that an earlier scan wrote, none where there is none."""
    if not exists(table):
        return
    filesystem, inside = open_filesystem(table)
    try:
        with filesystem.open(inside, "rb") as file:
            for batch in pq.ParquetFile(file).iter_batches(_BATCH_ROWS):
                yield from batch.select(_COLUMNS).to_pylist()
    except (pa.ArrowInvalid, KeyError):
        raise ManifestError(
            "The links table of an earlier scan is damaged, or from another version.",
            remedy="Put it back from a copy, or move it away; a new scan writes another.",
        ) from None


def scan(root: str) -> Iterator[str]:
    """Yield each study below `root` once: a path relative to it, for `collect_files`.

    Raises:
        ManifestError: a folder or a file in it may not be read.
    """
    yield from (study.uri for study in _scan(root))


def _scan(root: str) -> Iterator[_Study]:
    filesystem, top = open_filesystem(root)
    try:
        yield from _scan_folder(filesystem, top.rstrip("/"), "")
    except storage_errors() as error:
        raise ManifestError(
            f"A part of the folder to scan cannot be read ({type(error).__name__}).",
            remedy="Check permissions and, for a bucket, the address and credentials.",
        ) from None


def _row(study: _Study, key: str, site: str) -> _Links:
    return {
        "case_id": pseudonym("scan", study.folder, key),
        "patient_id": name_patient(study.folder.split("/", 1)[0], key),
        "site": site,
        "study_uri": study.uri,
    }


def _scan_folder(filesystem: Any, top: str, folder: str) -> Iterator[_Study]:
    """Yield the studies of a folder: archives in it, itself, and those below it.

    DICOM studies are held back while they may be one and the same; a second StudyInstanceUID, or
    one that is not told, ends that, so that few are held in a large archive.
    """
    here = posixpath.join(top, folder) if folder else top
    files, below = _listing(filesystem, here)
    for name in files:
        if name.lower().endswith(_ARCHIVE_SUFFIXES):
            yield _Study(_below(folder, name))
    found: Iterator[_Study] = chain.from_iterable(
        _scan_folder(filesystem, top, _below(folder, name)) for name in below
    )
    if _holds_images(filesystem, here, files):
        uid = _study_uid(filesystem, here, files)
        found = chain([_Study(folder, uid, is_own_files_only=bool(below))], found)
    held: list[_Study] = []
    for study in found:
        if study.uid is None:
            yield study
            continue
        held.append(study)
        if not study.uid or held[0].uid != study.uid:
            yield from held
            yield from found
            return
    if len(held) > 1:
        yield _Study(folder, held[0].uid)
    else:
        yield from held


def _holds_images(filesystem: Any, here: str, files: _Sizes) -> bool:
    if any(name.lower().endswith(_IMAGE_SUFFIXES) for name in files):
        return True
    return next(_dicom_files(filesystem, here, files), None) is not None


def _study_uid(filesystem: Any, here: str, files: _Sizes) -> str | None:
    """Return the first StudyInstanceUID that a DICOM file of a folder tells; see `_Study`."""
    uid: str | None = None
    for path in _dicom_files(filesystem, here, files):
        head = filesystem.cat_file(path, start=0, end=HEADER_BYTES)
        uid = read_ids(head)["StudyInstanceUID"] or ""
        if uid:
            break
    return uid


def _dicom_files(filesystem: Any, here: str, files: _Sizes) -> Iterator[str]:
    """Yield the paths of a folder's DICOM files, those first whose names are usual for them."""
    known = (*_IMAGE_SUFFIXES, *_ARCHIVE_SUFFIXES, *_OTHER_SUFFIXES)
    candidates = [
        name
        for name, num_bytes in files.items()
        if num_bytes  # a bucket refuses to give the first bytes of nothing
        and not name.lower().endswith(known)
        and name.upper() != _DIRECTORY_FILE
    ]
    for name in sorted(candidates, key=_is_unusual):
        path = posixpath.join(here, name)
        if is_dicom(filesystem.cat_file(path, start=0, end=_FIRST_BYTES)):
            yield path


def _is_unusual(name: str) -> bool:
    """Say whether a DICOM file is seldom called so: IM0001, 17.dcm and 1.2.840.113 are usual."""
    suffix = posixpath.splitext(name)[1].lower()
    return suffix not in _DICOM_SUFFIXES and not suffix[1:].isdigit()


def _listing(filesystem: Any, path: str) -> tuple[_Sizes, list[str]]:
    """Return a folder's files with their sizes, and the folders in it, sorted."""
    files: _Sizes = {}
    folders: list[str] = []
    for entry in sorted(filesystem.ls(path, detail=True), key=lambda one: str(one["name"])):
        name = posixpath.basename(str(entry["name"]).rstrip("/"))
        if not name or name.startswith(".") or name in _SKIPPED_FOLDERS:
            continue
        kind = entry["type"]
        if kind == "other":  # a local disk's link, pipe or device
            kind = _kind_behind(path, name)
        if kind == "directory":
            folders.append(name)
        elif kind == "file":
            files[name] = int(entry["size"] or 0)
    return files, folders


def _kind_behind(path: str, name: str) -> str | None:
    """Say what a local link leads to; None for what is no study's: a pipe, or the way back up.

    A link to nothing counts as a file: its reader will tell.
    """
    target = os.path.realpath(os.path.join(path, name))
    if os.path.isdir(target):
        leads_up = os.path.commonpath([target, os.path.realpath(path)]) == target
        return None if leads_up else "directory"
    return "file" if os.path.isfile(target) or not os.path.exists(target) else None


def _below(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name
