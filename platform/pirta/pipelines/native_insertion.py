"""Lesions in a normal study as the scanner made it: NIfTI pairs, masks, and a table of them.

Axis suffixes: X Y Z voxels (RAS+). The study is read and stripped as every other, its brain is
registered to the template, and infarcts are inserted on its own grid at its own b value, skull and
noise left as they are. What comes out is a cohort folder that `pirta preprocess` takes:

    cohort.parquet
    sub-X/ses-01/dwi/sub-X_ses-01_{dwi,adc}.nii.gz         ADC in 10⁻³ mm²/s, RAS+
    derivatives/truth/sub-X/ses-01/dwi/sub-X_ses-01_{msk,territories}.nii.gz

No Ray here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pirta.cohort.insertion import InsertedLesion, insert_as_asked, insert_into_normal
from pirta.cohort.lesion_plan import LesionPlan
from pirta.cohort.lesion_requests import LesionRequest
from pirta.cohort.nifti_bytes import nifti_bytes
from pirta.cohort.prepared_store import check_case_id
from pirta.cohort.registry_rows import make_registry
from pirta.cohort.report_text import raw_report
from pirta.cohort.store_files import exists, join, write_whole
from pirta.cohort.table import write_cohort
from pirta.contracts.case import CaseRecord
from pirta.contracts.study import StudyImages
from pirta.errors import ManifestError, SeriesError
from pirta.imaging.adc_units import find_adc_unit
from pirta.imaging.atlas_registration import AtlasImage
from pirta.imaging.pair import check_not_swapped, check_pair
from pirta.imaging.read_pair import read_pair
from pirta.imaging.strip import Stripper, check_brain
from pirta.imaging.volume import Volume
from pirta.pipelines.territory_maps import BrainTerritories, load_atlas, native_territories

TABLE_NAME = "cohort.parquet"
MOST_B_S_MM2 = 20_000.0


@dataclass(frozen=True)
class NativeHost:
    """A normal study on its own grid, ready to take lesions.

    Attributes:
        adc_XYZ: 10⁻³ mm²/s.
    """

    dwi: Volume
    adc_XYZ: NDArray[np.float32]
    brain_XYZ: NDArray[np.bool_]
    territories: BrainTerritories
    b_value_s_mm2: float


def read_host(
    images: StudyImages,
    *,
    stripper: Stripper,
    atlas: AtlasImage | None = None,
    b_value_s_mm2: float | None = None,
) -> NativeHost:
    """Return a normal study with its territories.

    Args:
        b_value_s_mm2: of the DWI, where the images do not tell.

    Raises:
        SeriesError: nothing tells the b value, or the one given is none.
        InputError: the study cannot be read, holds no brain, or does not match the template.
    """
    if b_value_s_mm2 is not None and not 0 < b_value_s_mm2 <= MOST_B_S_MM2:
        raise SeriesError(
            f"A b value of {b_value_s_mm2:g} s/mm² was given.",
            remedy=f"Give one above 0 and up to {MOST_B_S_MM2:g}, such as 1000, or none.",
        )
    pair = read_pair(images)
    check_pair(pair.dwi, pair.adc)
    b_value = b_value_s_mm2 if b_value_s_mm2 is not None else pair.b_value_s_mm2
    if not b_value:
        raise SeriesError(
            "The DWI's b value is not told, and a lesion's contrast depends on it.",
            remedy="Give it in s/mm² (--b-value), such as 1000.",
        )
    brain_XYZ = stripper.strip(pair.dwi)
    check_brain(brain_XYZ, pair.dwi)
    check_not_swapped(pair.dwi, pair.adc, brain_XYZ)
    unit = find_adc_unit(pair.adc.data_XYZ, brain_XYZ, stated=pair.adc_unit)
    adc_XYZ = pair.adc.data_XYZ * np.float32(unit.factor)
    territories = native_territories(pair.dwi.affine, adc_XYZ, brain_XYZ, atlas or load_atlas())
    return NativeHost(pair.dwi, adc_XYZ, brain_XYZ, territories, float(b_value))


def insert_native(
    host: NativeHost, request: LesionRequest, rng: np.random.Generator
) -> InsertedLesion:
    """Return the study with the lesion asked for, on its own grid.

    Raises:
        GeometryError: it does not fit into this brain.
    """

    def insert(plan: LesionPlan, rng: np.random.Generator) -> InsertedLesion:
        return insert_into_normal(
            rng,
            plan,
            host.dwi.data_XYZ,
            host.adc_XYZ,
            host.territories.territory_XYZ,
            host.dwi.spacing_mm,
            b_value_s_mm2=host.b_value_s_mm2,
            x_mm=host.territories.x_mm_XYZ,
        )

    return insert_as_asked(request, rng, insert)


def write_native_set(
    host: NativeHost,
    requests: Sequence[LesionRequest],
    out: str,
    *,
    name: str,
    seed: int = 0,
    site: str = "unknown",
    scanner: str = "unknown",
    split: str = "index",
) -> str:
    """Write the normal study and one study a request; return the path of their table.

    Every lesion is grown once before anything is written, and again, the same, for its files: so
    one that does not fit leaves nothing behind, and no more than one study is held.

    Args:
        name: of the study, a pseudonym: it enters file names and ids.

    Raises:
        ManifestError: the name cannot be a file's, or `out` holds a table already.
        GeometryError: a lesion does not fit into this brain.
        StoreError: `out` cannot be written.
    """
    check_case_id(name)
    table = join(out, TABLE_NAME)
    if exists(table):
        raise ManifestError(
            f"{out} holds a {TABLE_NAME} already.", remedy="Name a new folder, or delete it."
        )

    for number, request in enumerate(requests, start=1):
        check_case_id(f"{name}-{number:03d}-{request.name}")
        insert_native(host, request, np.random.default_rng([seed, number]))

    def write(case_id: str, lesion: InsertedLesion | None, rng: np.random.Generator) -> CaseRecord:
        uris = _write_images(host, lesion, out, case_id)
        finding = None if lesion is None else lesion.plan.finding
        return CaseRecord(
            case_id=case_id,
            patient_id=name,
            site=site,
            scanner=scanner,
            split=split,
            registry=make_registry(rng, finding),
            finding=finding,
            report_text=raw_report(rng, finding),
            **uris,
        )

    records = [write(name, None, np.random.default_rng([seed, 0]))]
    for number, request in enumerate(requests, start=1):
        rng = np.random.default_rng([seed, number])
        case_id = f"{name}-{number:03d}-{request.name}"
        records.append(write(case_id, insert_native(host, request, rng), rng))
    write_cohort(table, records)
    return table


def _write_images(
    host: NativeHost, lesion: InsertedLesion | None, out: str, case_id: str
) -> dict[str, str]:
    """Write a study's images and truth; return their URIs, relative to `out`."""
    stem = f"sub-{case_id}/ses-01/dwi/sub-{case_id}_ses-01"
    truth = join("derivatives/truth", stem)
    images: dict[str, tuple[str, NDArray[np.generic]]] = {
        "dwi_uri": (f"{stem}_dwi.nii.gz", host.dwi.data_XYZ),
        "adc_uri": (f"{stem}_adc.nii.gz", host.adc_XYZ),
        "territory_uri": (f"{truth}_territories.nii.gz", host.territories.territory_XYZ),
    }
    if lesion is not None:
        images["dwi_uri"] = (images["dwi_uri"][0], lesion.dwi_XYZ)
        images["adc_uri"] = (images["adc_uri"][0], lesion.adc_XYZ)
        images["mask_uri"] = (f"{truth}_msk.nii.gz", lesion.mask_XYZ)
    for uri, values_XYZ in images.values():
        write_whole(join(out, uri), nifti_bytes(values_XYZ, host.dwi.affine))
    return {kind: uri for kind, (uri, _) in images.items()}
