"""Where a run's studies come from: a table of cases, or a folder that is scanned for them.

A source can be gone through as often as one likes. Each study comes as two cases: the one to
read the images by, and the one that the store shows. They differ for a scanned folder, whose
paths may hold names; see `pirta.pipelines.archive_scan`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice

from pirta.archive_settings import ArchiveSettings
from pirta.cohort.manifest import read_manifest
from pirta.cohort.store_files import join, open_filesystem
from pirta.contracts.case import CaseRecord
from pirta.pipelines.archive_scan import scan_to_table
from pirta.pipelines.pseudonyms import pseudonym_key
from pirta.storage_errors import storage_errors

LINKS = "links.parquet"


@dataclass(frozen=True)
class StudySource:
    """A manifest that can be streamed.

    Attributes:
        table: Parquet or CSV.
        base: where relative URIs start.
        key: of the pseudonyms, where the table is a folder's scan: then its URIs are kept out of
            the store's tables. None for a table that was handed over.
        site: of the studies of a scanned folder.
        num_cases: how many of the table's first rows count; None: all.
    """

    table: str
    base: str
    key: str | None = None
    site: str = "unknown"
    num_cases: int | None = None

    @property
    def is_folder(self) -> bool:
        """Say whether this is a folder, to be scanned before it is streamed."""
        return self.key is not None

    def scan(self) -> StudySource:
        """Scan the folder, write its table, and return the source to stream.

        Raises:
            ManifestError: the folder holds no study.
            StoreError: the table cannot be written.
        """
        assert self.key is not None, "a table is not scanned"
        root = self.base.rstrip("/") or "/"
        return replace(
            self, num_cases=scan_to_table(root, self.table, key=self.key, site=self.site)
        )

    def __iter__(self) -> Iterator[tuple[CaseRecord, CaseRecord]]:
        for case in islice(read_manifest(self.table), self.num_cases):
            yield case, _pseudonymous(case) if self.key is not None else case


def open_source(
    path: str, out: str, settings: ArchiveSettings, *, site: str, links: str | None = None
) -> StudySource:
    """Return the studies of a table, or of a folder that is still to be scanned.

    Raises:
        SettingsError: a folder is to be scanned, and no key for its pseudonyms is set.
    """
    filesystem, inside = open_filesystem(path)
    try:
        is_folder = filesystem.isdir(inside)
    except storage_errors():
        is_folder = False  # the manifest's reader tells what is wrong
    if not is_folder:
        return StudySource(path, path)
    key = pseudonym_key(settings)
    return StudySource(links or join(out, LINKS), f"{path.rstrip('/')}/", key=key, site=site)


def _pseudonymous(case: CaseRecord) -> CaseRecord:
    return case.model_copy(update={"study_uri": f"scanned:{case.case_id}"})
