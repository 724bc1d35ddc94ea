"""The images beside a report: prepared here once more, as the service does, or from a store.

A report that leaves the service holds no images. Nothing is sent anywhere.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pirta.contracts.report import Report

if TYPE_CHECKING:
    from pirta.contracts.study import StudyImages
    from pirta.reporting.evidence_picture import Panel


def prepared_panel(report: Report, images: StudyImages, *, settings: Path | None) -> Panel:
    """Return the panel of a study's own images.

    Raises:
        InputError: the images cannot be used.
    """
    from pirta.imaging.prepare import prepare_study
    from pirta.imaging.strip import make_stripper
    from pirta.reporting.evidence_picture import Panel
    from pirta.settings import load_settings

    known = load_settings(settings)
    prepared = prepare_study(
        images,
        settings=known.preprocessing,
        quality=known.quality,
        stripper=make_stripper(known.preprocessing),
    )
    return Panel(title=_query_title(report), volume_CXYZ=prepared.volume_CXYZ)


def stored_panels(
    report: Report, store: str, *, with_query: bool
) -> tuple[Panel | None, tuple[Panel, ...]]:
    """Return the panels of the study (None where not asked for) and of its neighbours.

    Raises:
        ManifestError: the store lacks one of them.
    """
    from pirta.cohort.prepared_store import load_volume, read_prepared
    from pirta.errors import ManifestError
    from pirta.reporting.evidence_picture import Panel

    uris = {item.case.case_id: item.array_uri for item in read_prepared(store)}
    asked = [case.case_id for case in report.evidence] + [report.study_id] * with_query
    lacking = [case_id for case_id in asked if case_id not in uris]
    if lacking:
        raise ManifestError(
            f"{store} lacks {len(lacking)} of the report's cases, among them {lacking[0]}.",
            remedy="Name the store that the release was built from.",
        )
    neighbours = tuple(
        Panel(
            title=f"[{rank}] similarity {case.similarity:.2f}\n{case.site}: {case.label}",
            volume_CXYZ=load_volume(uris[case.case_id]),
        )
        for rank, case in enumerate(report.evidence, start=1)
    )
    if not with_query:
        return None, neighbours
    return Panel(_query_title(report), load_volume(uris[report.study_id])), neighbours


def _query_title(report: Report) -> str:
    return f"Query\n{report.study_id}"
