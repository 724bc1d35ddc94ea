"""A prepared store of normals becomes one of strokes: fresh lesions in each, every answer known.

Axis suffixes: C channels (0 DWI, 1 ADC), X Y Z voxels (RAS+, 2x2x4 mm). For sets by size, for
tests on a hospital's own normals, for training. A normal without a territory map is registered
first; a row that does not say what it shows is refused. Each row says its host, what was asked for
and what the mask holds; registry and report are made up to fit the finding. What does not fit into
a brain becomes a dead letter. No Ray here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pirta.cohort.insertion import InsertedLesion, insert_as_asked, insert_into_normal
from pirta.cohort.known_labels import STATE_THEM, check_labels_known
from pirta.cohort.lesion_plan import LesionPlan
from pirta.cohort.lesion_requests import LesionRequest
from pirta.cohort.prepared_rows import Facts
from pirta.cohort.prepared_store import (
    CaseArrays,
    PreparedCase,
    RefusedCase,
    close_run,
    load_volume,
    read_prepared,
    write_case,
)
from pirta.cohort.registry_rows import make_registry
from pirta.cohort.report_text import raw_report
from pirta.contracts.finding import Label
from pirta.contracts.study import GRID_SPACING_MM
from pirta.errors import GeometryError, InputError, ManifestError
from pirta.imaging.atlas_registration import AtlasImage
from pirta.pipelines.hosts import (
    TARGET_B_S_MM2,
    check_new_store,
    fit_facts,
    known_b_value,
    known_or_found,
)
from pirta.pipelines.territory_maps import load_atlas, midline_distance

Requests = Callable[[int], Sequence[LesionRequest]]
"""From a normal's number in the store to the lesions it shall get."""


@dataclass(frozen=True)
class LesionSetSummary:
    """What became of a store's normals.

    Attributes:
        num_b_assumed: normals whose row tells no b value; taken as b 1000.
    """

    num_normals: int
    num_lesions: int
    num_refused: int
    num_b_assumed: int


@dataclass(frozen=True)
class Host:
    """A normal case with all that an insertion needs.

    Attributes:
        x_mm_XYZ: distance from the midline; None where only the territory map is known.
    """

    row: PreparedCase
    volume_CXYZ: NDArray[np.float32]
    territory_XYZ: NDArray[np.uint8]
    x_mm_XYZ: NDArray[np.float32] | None
    facts: Facts

    @property
    def b_value_s_mm2(self) -> float:
        """Of the DWI; b 1000 where the row does not tell."""
        return known_b_value(self.row.facts) or TARGET_B_S_MM2


def make_lesion_set(
    store: str,
    out: str,
    requests: Requests,
    *,
    seed: int = 0,
    split: str | None = None,
    source_split: str | None = None,
    keep_normals: bool = True,
    atlas: AtlasImage | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> LesionSetSummary:
    """Write a store in which each normal of `store` has the lesions asked for.

    A case's lesion follows from the seed, the normal's id and the request: another order or a
    larger store changes nothing.

    Args:
        split: of the new rows; None keeps the normal's own.
        source_split: take the normals of this split only.
        keep_normals: write the normals too, so that specificity can be measured.

    Raises:
        ManifestError: the store cannot be read, has no such normal, or rows that do not say what
            they show; or `out` holds a store.
        StoreError: `out` cannot be written.
    """
    check_new_store(out)
    normals = _normals(store, source_split)
    made: list[PreparedCase] = []
    refused: list[RefusedCase] = []
    num_lesions = 0
    for number, row in enumerate(normals):
        if on_progress is not None:
            on_progress(number, len(normals))
        try:
            host, atlas = _host(row, atlas)
        except InputError as error:
            refused.append(RefusedCase(row.case.case_id, error.code, str(error)))
            continue
        new_split = split or row.case.split
        if keep_normals:
            made.append(_write_normal(host, out, new_split))
        for case_id, request in _named(host, requests(number)):
            try:
                made.append(_write_lesion(host, case_id, request, out, new_split, seed))
                num_lesions += 1
            except GeometryError as error:
                refused.append(RefusedCase(case_id, error.code, str(error)))
    if on_progress is not None:
        on_progress(len(normals), len(normals))
    close_run(out, made, refused)
    num_b_assumed = sum(known_b_value(row.facts) is None for row in normals)
    return LesionSetSummary(len(made) - num_lesions, num_lesions, len(refused), num_b_assumed)


def insert_request(host: Host, request: LesionRequest, rng: np.random.Generator) -> InsertedLesion:
    """Return the host with the lesion asked for.

    Raises:
        GeometryError: it does not fit into this brain.
    """

    def insert(plan: LesionPlan, rng: np.random.Generator) -> InsertedLesion:
        return insert_into_normal(
            rng,
            plan,
            host.volume_CXYZ[0],
            host.volume_CXYZ[1],
            host.territory_XYZ,
            GRID_SPACING_MM,
            b_value_s_mm2=host.b_value_s_mm2,
            x_mm=host.x_mm_XYZ,
        )

    return insert_as_asked(request, rng, insert)


def _normals(store: str, source_split: str | None) -> list[PreparedCase]:
    rows = read_prepared(store)
    chosen = [row for row in rows if source_split in (None, row.case.split)]
    check_labels_known(
        store,
        chosen,
        remedy=f"{STATE_THEM}; or make hosts of it: `pirta cohort hosts --all-normal`.",
    )
    normals = [row for row in chosen if row.case.label is Label.NORMAL]
    if not normals:
        where = f" in the split '{source_split}'" if source_split else ""
        raise ManifestError(
            f"The prepared store {store} holds {len(rows)} cases and no normal one{where}.",
            remedy="Lesions are put into normal studies only: prepare some.",
        )
    return normals


def _host(row: PreparedCase, atlas: AtlasImage | None) -> tuple[Host, AtlasImage | None]:
    """Return the host, and the template where it had to be loaded."""
    volume_CXYZ = load_volume(row.array_uri)
    if row.territory_uri is None:
        atlas = atlas or load_atlas()
    territory_XYZ, found = known_or_found(row, volume_CXYZ, atlas)
    facts = dict(row.facts) | ({} if found is None else fit_facts(found.fit))
    x_mm_XYZ = midline_distance(facts) if found is None else found.x_mm_XYZ
    return Host(row, volume_CXYZ, territory_XYZ, x_mm_XYZ, facts), atlas


def _named(host: Host, requests: Sequence[LesionRequest]) -> Iterator[tuple[str, LesionRequest]]:
    for number, request in enumerate(requests):
        yield f"{host.row.case.case_id}-{number:03d}-{request.name}", request


def _write_normal(host: Host, out: str, split: str) -> PreparedCase:
    return write_case(
        out,
        host.row.case.model_copy(update={"split": split}),
        CaseArrays(host.volume_CXYZ, None, host.territory_XYZ),
        fingerprint=host.row.fingerprint,
        facts={**host.facts, "lesion_ml": 0.0},
        gates=host.row.gates,
    )


def _write_lesion(
    host: Host, case_id: str, request: LesionRequest, out: str, split: str, seed: int
) -> PreparedCase:
    digest = hashlib.sha256(case_id.encode()).digest()
    rng = np.random.default_rng([seed, int.from_bytes(digest[:8], "big")])
    lesion = insert_request(host, request, rng)
    finding = lesion.plan.finding
    facts: Facts = {
        **host.facts,
        "lesion_ml": round(lesion.lesion_ml, 4),
        "lesion_origin": "inserted",
        "lesion_adc_ratio": round(lesion.plan.adc_ratio, 4),
        "lesion_t2_ratio": round(lesion.plan.t2_ratio, 4),
        "lesion_num_foci": float(lesion.plan.num_foci),
        "host_case_id": host.row.case.case_id,
    }
    if request.volume_ml is not None:
        facts["lesion_asked_ml"] = request.volume_ml
    case = host.row.case.model_copy(
        update={
            "case_id": case_id,
            "split": split,
            "mask_uri": None,
            "territory_uri": None,
            "finding": finding,
            "registry": make_registry(rng, finding),
            "report_text": raw_report(rng, finding),
        }
    )
    return write_case(
        out,
        case,
        CaseArrays(np.stack([lesion.dwi_XYZ, lesion.adc_XYZ]), lesion.mask_XYZ, host.territory_XYZ),
        fingerprint=host.row.fingerprint,
        facts=facts,
        gates=host.row.gates,
    )
