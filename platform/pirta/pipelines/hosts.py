"""Normal studies made ready to take lesions: a prepared store's normals with a territory map each.

Axis suffixes: C channels (0 DWI, 1 ADC), X Y Z voxels (RAS+, 2x2x4 mm). Training and tests insert
infarcts into normals whose territories are known. Phantoms know theirs; for any other normal the
map and the midline are found by registration (`territory_maps`). DWI of another b value can be
brought to the one that lesions are planned for. Strokes are passed over; a brain that does not
match the template becomes a dead letter; rows that do not say what they show are refused. Studies
are prepared before, by `pirta preprocess`. No Ray here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pirta.cohort.known_labels import STATE_THEM, check_labels_known
from pirta.cohort.prepared_rows import Facts
from pirta.cohort.prepared_store import (
    CaseArrays,
    PreparedCase,
    RefusedCase,
    close_run,
    is_finished,
    load_labels,
    load_volume,
    read_prepared,
    write_case,
)
from pirta.contracts.finding import NORMAL_SENTENCE, Label
from pirta.errors import InputError, ManifestError
from pirta.imaging.atlas_registration import AtlasFit, AtlasImage
from pirta.imaging.normalise import normalise_dwi
from pirta.pipelines.territory_maps import (
    BrainTerritories,
    load_atlas,
    midline_facts,
    prepared_affine,
    prepared_territories,
)

TARGET_B_S_MM2 = 1000.0
HOSTS_SPLIT = "train"
"""What training reads its guests from."""

B_TOLERANCE_S_MM2 = 50.0


@dataclass(frozen=True)
class HostsSummary:
    """What became of a store's normals.

    Attributes:
        num_b_assumed: hosts whose row tells no b value; taken as b 1000.
    """

    num_hosts: int
    num_refused: int
    num_strokes: int
    num_b_assumed: int


def make_hosts(
    store: str,
    out: str,
    *,
    split: str | None = HOSTS_SPLIT,
    all_normal: bool = False,
    atlas: AtlasImage | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> HostsSummary:
    """Write the normals of `store` to a new store, each with its territory map.

    A map that is there already (a phantom's own) is kept.

    Args:
        split: of the new rows; None keeps each row's own.
        all_normal: the caller states that rows which say nothing are normal, and they then do.

    Raises:
        ManifestError: the store cannot be read, has no normal, or rows that do not say what they
            show; or `out` holds a store already.
        StoreError: `out` cannot be written.
    """
    check_new_store(out)
    rows = read_prepared(store)
    if all_normal:
        rows = [row if row.case.label_known else _stated_normal(row) for row in rows]
    check_labels_known(
        store, rows, remedy=f"{STATE_THEM}; or say --all-normal where all of these are normal."
    )
    normals = [row for row in rows if row.case.label is Label.NORMAL]
    if not normals:
        raise ManifestError(
            f"The prepared store {store} holds {len(rows)} cases and none of them is normal.",
            remedy="Prepare normal studies.",
        )
    atlas = atlas or load_atlas()
    made: list[PreparedCase] = []
    refused: list[RefusedCase] = []
    for row in normals:
        try:
            made.append(_host(row, out, split or row.case.split, atlas))
        except InputError as error:  # of this study; what cannot be written ends the run
            refused.append(RefusedCase(row.case.case_id, error.code, str(error)))
        if on_progress is not None:
            on_progress(len(made) + len(refused), len(normals))
    close_run(out, made, refused)
    num_b_assumed = sum(known_b_value(row.facts) is None for row in made)
    return HostsSummary(len(made), len(refused), len(rows) - len(normals), num_b_assumed)


def check_new_store(out: str) -> None:
    """Refuse a folder that holds a finished store.

    Raises:
        ManifestError: it does.
    """
    if is_finished(out):
        raise ManifestError(
            f"{out} holds a finished store already.", remedy="Name a new folder, or delete it."
        )


def at_b_value(
    volume_CXYZ: NDArray[np.float32], *, from_b_s_mm2: float, to_b_s_mm2: float = TARGET_B_S_MM2
) -> NDArray[np.float32]:
    """Return a prepared volume with its DWI as another b value would show it.

    DWI = S0 · exp(−b·ADC), so each voxel is multiplied by exp((b_from − b_to)·ADC), and the brain's
    median is made 1 again. The ADC map stays, though a high b's is the lower one (kurtosis).

    Raises:
        IntensityError: nothing is left of the DWI.
    """
    brain_XYZ = (volume_CXYZ != 0).any(axis=0)
    change = np.float32((from_b_s_mm2 - to_b_s_mm2) * 1e-3)
    dwi_XYZ = volume_CXYZ[0] * np.exp(change * volume_CXYZ[1])
    return np.stack([normalise_dwi(dwi_XYZ, brain_XYZ), volume_CXYZ[1]]).astype(np.float32)


def known_b_value(facts: Facts) -> float | None:
    """Return the DWI's b value (s/mm²), None where the row does not tell."""
    stated = facts.get("b_value_s_mm2")
    if isinstance(stated, bool) or not isinstance(stated, int | float):
        return None
    return float(stated) if stated > 0 else None


def fit_facts(fit: AtlasFit, affine: NDArray[np.float64] | None = None) -> Facts:
    """Return how well a brain matched the template, and its midline, for a row's facts.

    Args:
        affine: of the prepared grid in the world that was registered; `prepared_affine()` if None.
    """
    return {
        **midline_facts(fit, prepared_affine() if affine is None else affine),
        "atlas_information": round(fit.information, 4),
        "atlas_brain_share": round(fit.brain_share, 4),
        "atlas_brain_dice": round(fit.brain_dice, 4),
    }


def known_or_found(
    row: PreparedCase, volume_CXYZ: NDArray[np.float32], atlas: AtlasImage | None
) -> tuple[NDArray[np.uint8], BrainTerritories | None]:
    """Return a case's territory map, and how it was found where it did not come with the case.

    Args:
        atlas: needed where there is no map; loaded by the caller for many cases.

    Raises:
        RegistrationError: the brain does not match the template.
    """
    if row.territory_uri is not None:
        return load_labels(row.territory_uri), None
    found = prepared_territories(volume_CXYZ, atlas or load_atlas())
    return found.territory_XYZ, found


def _stated_normal(row: PreparedCase) -> PreparedCase:
    """Return a row that says from now on that it is normal."""
    case = row.case.model_copy(update={"report_text": NORMAL_SENTENCE})
    return replace(row, case=case, facts={**row.facts, "label_from": "--all-normal"})


def _host(row: PreparedCase, out: str, split: str, atlas: AtlasImage) -> PreparedCase:
    volume_CXYZ = load_volume(row.array_uri)
    facts = dict(row.facts)
    b_value = known_b_value(facts)
    if b_value is not None and abs(b_value - TARGET_B_S_MM2) > B_TOLERANCE_S_MM2:
        volume_CXYZ = at_b_value(volume_CXYZ, from_b_s_mm2=b_value)
        facts |= {"b_value_s_mm2": TARGET_B_S_MM2, "acquired_b_value_s_mm2": b_value}
    territory_XYZ, found = known_or_found(row, volume_CXYZ, atlas)
    if found is not None:
        facts |= fit_facts(found.fit)
    return write_case(
        out,
        row.case.model_copy(update={"split": split}),
        CaseArrays(volume_CXYZ, None, territory_XYZ),
        fingerprint=row.fingerprint,
        facts=facts,
        gates=row.gates,
    )
