"""Find the studies of a BIDS-like folder with lesion masks, as ISLES 2022 was published.

Both published forms, and phantom cohorts, are of one pattern:

    [rawdata/]sub-X/ses-Y/[dwi/]sub-X_ses-Y_dwi.nii.gz        beside it _adc.nii.gz and .json
    derivatives/[NAME/]sub-X/ses-Y/[dwi/]sub-X_ses-Y_msk.nii.gz

The archive for download has no `rawdata/` and keeps DWI and ADC in `dwi/`; the challenge's own
tree has `rawdata/` and no `dwi/`. FLAIR and everything else is passed over. Sessions may be
missing, other entities (`_acq-…`, `_run-…`) may follow, and tell studies apart; but those that say
how a file was derived (`_desc-…`, `_space-…`, `_label-…`, `_res-…`) do not: a mask may have them
where its images have none. The folder is local or any fsspec path; only names are looked at here.
"""

from __future__ import annotations

import posixpath
import re
from collections import defaultdict
from dataclasses import dataclass

from pirta.cohort.store_files import open_filesystem
from pirta.errors import ManifestError
from pirta.storage_errors import storage_errors

_IMAGE = re.compile(
    r"(?P<subject>sub-[A-Za-z0-9.-]{1,60})(?P<entities>(?:_[A-Za-z]{1,20}-[A-Za-z0-9.-]{1,40})*)"
    r"_(?P<kind>dwi|adc|msk)\.(?P<ending>nii\.gz|nii|json)"
)
_DERIVED = ("desc-", "space-", "label-", "res-")
_LAYOUT = (
    "Expected are [rawdata/]sub-X/ses-Y/[dwi/]sub-X_ses-Y_{dwi,adc}.nii.gz and "
    "derivatives/.../sub-X_ses-Y_msk.nii.gz."
)


@dataclass(frozen=True)
class BidsStudy:
    """One session's files, to open; None where there is none.

    Attributes:
        problem: why the study cannot be used, where its names tell already.
    """

    case_id: str
    subject: str
    dwi_uri: str | None
    adc_uri: str | None
    mask_uri: str | None
    sidecar_uri: str | None
    problem: str | None = None


def find_bids_studies(folder: str) -> list[BidsStudy]:
    """Return the studies of a folder, in the order of their names.

    Raises:
        ManifestError: the folder does not exist, cannot be read, or holds no such file.
    """
    filesystem, inside = open_filesystem(folder)
    try:
        names = sorted(str(name) for name in filesystem.find(inside))
    except FileNotFoundError:
        names = []
    except storage_errors() as error:
        raise ManifestError(
            f"The folder {folder} cannot be read ({type(error).__name__}).",
            remedy="Check its address, credentials and permissions.",
        ) from None
    found: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    subjects: dict[str, str] = {}
    for name in names:
        match = _IMAGE.fullmatch(posixpath.basename(name))
        is_derived = "derivatives" in name.removeprefix(inside).split("/")
        if match is None or is_derived != (match["kind"] == "msk"):
            continue
        kind = match["kind"] if match["ending"] != "json" else f"{match['kind']} sidecar"
        uri = str(filesystem.unstrip_protocol(name)) if "://" in folder else name
        stem = _stem(match)
        found[stem][kind].append(uri)
        subjects[stem] = match["subject"]
    if not any(kinds["dwi"] for kinds in found.values()):
        raise ManifestError(f"The folder {folder} holds no DWI of a BIDS study.", remedy=_LAYOUT)
    return [_study(stem, subjects[stem], found[stem]) for stem in sorted(found)]


def _stem(match: re.Match[str]) -> str:
    """Return the name that a study's files share."""
    entities = match["entities"].split("_")[1:]
    own = [one for one in entities if not one.startswith(_DERIVED)]
    return "_".join([match["subject"], *own])


def _study(stem: str, subject: str, kinds: dict[str, list[str]]) -> BidsStudy:
    repeated = [kind for kind in ("dwi", "adc", "msk") if len(kinds[kind]) > 1]
    missing = [kind for kind in ("dwi", "adc", "msk") if not kinds[kind]]
    problem = None
    if repeated:
        problem = f"There are {len(kinds[repeated[0]])} {repeated[0]} files of one study."
    elif missing:
        problem = f"There is no {' and no '.join(missing)} file for this study."

    def first(kind: str) -> str | None:
        return kinds[kind][0] if kinds[kind] else None

    return BidsStudy(
        case_id=stem,
        subject=subject,
        dwi_uri=first("dwi"),
        adc_uri=first("adc"),
        mask_uri=first("msk"),
        sidecar_uri=first("dwi sidecar"),
        problem=problem,
    )
