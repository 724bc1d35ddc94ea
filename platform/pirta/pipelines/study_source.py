"""Where a run's studies come from: a table of cases, or a folder that is scanned for them.

A source can be gone through as often as one likes. Each study comes as two cases: the one to
read the images by, and the one that the store shows. They differ for a scanned folder, whose
paths may hold names; see `pirta.pipelines.archive_scan`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pirta.archive_settings import ArchiveSettings
from pirta.cohort.manifest import read_manifest
from pirta.cohort.store_files import failures, join, open_filesystem
from pirta.contracts.case import CaseRecord
from pirta.pipelines.archive_scan import scan_to_table

LINKS = "links.parquet"


@dataclass(frozen=True)
class StudySource:
    """A manifest that can be streamed.

    Attributes:
        table: Parquet or CSV.
        base: where relative URIs start.
        key: of the pseudonyms, where the table is a folder's scan: then its URIs are kept out of
            the store's tables. None for a table that was handed over.
    """

    table: str
    base: str
    key: str | None

    def __iter__(self) -> Iterator[tuple[CaseRecord, CaseRecord]]:
        for case in read_manifest(self.table):
            yield case, _pseudonymous(case) if self.key is not None else case


def open_source(path: str, out: str, settings: ArchiveSettings, *, site: str) -> StudySource:
    """Return the studies of a table, or of a folder, which is scanned now.

    Raises:
        ManifestError: a folder holds no study.
        StoreError: the scan's result cannot be written to `out`.
    """
    filesystem, inside = open_filesystem(path)
    try:
        is_folder = filesystem.isdir(inside)
    except failures():
        is_folder = False  # the manifest's reader tells what is wrong
    if not is_folder:
        return StudySource(path, path, key=None)
    table = join(out, LINKS)
    key = settings.pseudonym_key.get_secret_value()
    scan_to_table(path, table, key=key, site=site)
    return StudySource(table, f"{path.rstrip('/')}/", key=key)


def _pseudonymous(case: CaseRecord) -> CaseRecord:
    return case.model_copy(update={"study_uri": f"scanned:{case.case_id}"})
