"""A BIDS folder with lesion masks becomes a prepared store whose labels come from the masks.

Axis suffixes: C channels (0 DWI, 1 ADC), X Y Z voxels (RAS+). Each study is prepared as every
other, its brain is registered to MNI152, and the mask is read by the rule of `mask_labels`, on its
own grid and in world millimetres, so that nothing is lost to the prepared grid. A study that
cannot be used becomes a dead letter. Processes work side by side; without Ray, as the public sets
have hundreds of studies and not tens of thousands.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from pirta.cohort.bids_folder import BidsStudy, find_bids_studies
from pirta.cohort.prepared_rows import Facts
from pirta.cohort.prepared_store import (
    CaseArrays,
    PreparedCase,
    RefusedCase,
    close_run,
    write_case,
)
from pirta.cohort.report_text import raw_report
from pirta.contracts.case import CaseRecord
from pirta.contracts.finding import Finding
from pirta.contracts.quality import GateResult
from pirta.contracts.study import PreparedStudy, Registry, StudyImages
from pirta.errors import InputError, ManifestError, QualityError
from pirta.imaging.atlas_registration import AtlasImage, register_to_atlas
from pirta.imaging.nifti import read_file, read_nifti
from pirta.imaging.prepare import PreparedCaseVolumes, prepare_case
from pirta.imaging.resample import resample_labels
from pirta.imaging.sidecars import read_image_facts
from pirta.imaging.strip import Stripper, make_stripper
from pirta.imaging.volume import Volume
from pirta.pipelines.hosts import check_new_store, fit_facts
from pirta.pipelines.mask_labels import MaskLabel, check_mask, label_mask
from pirta.pipelines.territory_maps import load_atlas, prepared_affine, territories_on
from pirta.settings import Settings

Outcome: TypeAlias = PreparedCase | RefusedCase

_LARGEST_CHUNK = 16  # studies that share one loaded stripper
_COMPLETE_IT = "Add the missing file, or keep one of the repeated ones."


@dataclass(frozen=True)
class BidsOptions:
    """What a BIDS folder does not tell of its studies.

    Attributes:
        site: of all studies; decides the quality limits too.
    """

    site: str = "bids"
    split: str = "test"


@dataclass(frozen=True)
class BidsSummary:
    """What became of a folder's studies."""

    num_strokes: int
    num_normals: int
    num_refused: int


def make_bids_set(
    folder: str,
    out: str,
    *,
    settings: Settings,
    options: BidsOptions | None = None,
    num_workers: int = 1,
    atlas: AtlasImage | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> BidsSummary:
    """Write the prepared store of a folder laid out as `pirta.cohort.bids_folder` says.

    Args:
        num_workers: processes; 1 works in this one.

    Raises:
        ManifestError: the folder holds no such study, or `out` holds a store.
        StoreError: `out` cannot be written.
    """
    check_new_store(out)
    studies = find_bids_studies(folder)
    worker = _Worker(out, settings, options or BidsOptions())
    outcomes: dict[str, Outcome] = {}
    for outcome in _carry_out(studies, worker, num_workers, atlas):
        case_id = outcome.case_id if isinstance(outcome, RefusedCase) else outcome.case.case_id
        outcomes[case_id] = outcome
        if on_progress is not None:
            on_progress(len(outcomes), len(studies))
    ordered = [outcomes[study.case_id] for study in studies]
    prepared = [one for one in ordered if isinstance(one, PreparedCase)]
    refused = [one for one in ordered if isinstance(one, RefusedCase)]
    close_run(out, prepared, refused)
    num_strokes = sum(one.case.finding is not None for one in prepared)
    return BidsSummary(num_strokes, len(prepared) - num_strokes, len(refused))


@dataclass(frozen=True)
class _Worker:
    """What every process knows."""

    out: str
    settings: Settings
    options: BidsOptions

    def prepare(self, study: BidsStudy, stripper: Stripper, atlas: AtlasImage) -> Outcome:
        """Return the written case, or its dead letter."""
        try:
            return self._prepare(study, stripper, atlas)
        except InputError as error:
            judged = error.gates if isinstance(error, QualityError) else ()
            gates = tuple(GateResult.model_validate(one.model_dump()) for one in judged)
            return RefusedCase(study.case_id, error.code, str(error), gates)

    def _prepare(self, study: BidsStudy, stripper: Stripper, atlas: AtlasImage) -> PreparedCase:
        if study.problem or not (study.dwi_uri and study.adc_uri and study.mask_uri):
            raise ManifestError(study.problem or "A file is missing.", remedy=_COMPLETE_IT)
        mask = read_file(study.mask_uri, role="mask")
        mask_volume = read_nifti(mask, role="mask")
        is_lesion_XYZ = check_mask(mask_volume)
        images = StudyImages(
            dwi=read_file(study.dwi_uri, role="DWI"),
            adc=read_file(study.adc_uri, role="ADC"),
            b_value_s_mm2=_b_value(study),
        )
        found = prepare_case(
            images,
            mask=mask,
            settings=self.settings.preprocessing,
            quality=self.settings.quality_for(self.options.site),
            stripper=stripper,
        )
        lesion = Volume(is_lesion_XYZ.astype(np.float32), mask_volume.affine)
        label, arrays, facts = _labelled(found, lesion, atlas)
        return write_case(
            self.out,
            _record(study, label.finding, self.options),
            arrays,
            fingerprint=found.study.fingerprint,
            facts={**found.study.facts, **facts, **label.facts()},
            gates=found.study.gates,
        )


def _labelled(
    found: PreparedCaseVolumes, lesion: Volume, atlas: AtlasImage
) -> tuple[MaskLabel, CaseArrays, Facts]:
    """Return what the mask says, and the arrays with the study's territory map."""
    volume_CXYZ = found.study.volume_CXYZ
    target = _grid_affine(found.study)
    brain_XYZ = (volume_CXYZ != 0).any(axis=0)
    fit = register_to_atlas(volume_CXYZ[1], brain_XYZ, target, atlas)
    territory_XYZ = territories_on(volume_CXYZ[1], brain_XYZ, target, fit, atlas).territory_XYZ
    native_XYZ = lesion.data_XYZ > 0
    label = label_mask(native_XYZ, lesion.affine, fit, atlas)
    mask_XYZ = resample_labels(native_XYZ.astype(np.uint8), lesion.affine, target)
    label = label.with_contrast(volume_CXYZ[1], mask_XYZ > 0, territory_XYZ)
    return label, CaseArrays(volume_CXYZ, mask_XYZ, territory_XYZ), fit_facts(fit, target)


def _grid_affine(study: PreparedStudy) -> NDArray[np.float64]:
    """The prepared grid's affine in the study's own world."""
    affine = prepared_affine()
    affine[:3, 3] = [float(study.facts[f"grid_origin_{axis}_mm"]) for axis in "xyz"]
    return affine


def _record(study: BidsStudy, finding: Finding | None, options: BidsOptions) -> CaseRecord:
    return CaseRecord(
        case_id=study.case_id,
        patient_id=study.subject,
        site=options.site,
        scanner=options.site,
        split=options.split,
        dwi_uri=study.dwi_uri,
        adc_uri=study.adc_uri,
        mask_uri=study.mask_uri,
        registry=Registry(),
        finding=finding,
        report_text=raw_report(np.random.default_rng(0), finding),
    )


def _b_value(study: BidsStudy) -> float | None:
    """The b value of the DWI's sidecar; ISLES's own may say 0, which tells nothing."""
    if study.sidecar_uri is None:
        return None
    facts = read_image_facts(read_file(study.sidecar_uri, role="DWI sidecar"))
    return facts.b_value_s_mm2 or None


def _carry_out(
    studies: Sequence[BidsStudy], worker: _Worker, num_workers: int, atlas: AtlasImage | None
) -> Iterator[Outcome]:
    """Yield outcomes in whatever order they come."""
    atlas = atlas or load_atlas()
    if num_workers <= 1:
        stripper = make_stripper(worker.settings.preprocessing)
        for study in studies:
            yield worker.prepare(study, stripper, atlas)
        return
    # Fresh processes: a forked one would share this one's threads and locks.
    context = multiprocessing.get_context("spawn")
    size = max(1, min(_LARGEST_CHUNK, len(studies) // num_workers))
    with ProcessPoolExecutor(num_workers, mp_context=context) as pool:
        futures = [
            pool.submit(_prepare_chunk, worker, studies[start : start + size], atlas)
            for start in range(0, len(studies), size)
        ]
        for future in as_completed(futures):
            yield from future.result()


def _prepare_chunk(
    worker: _Worker, studies: Sequence[BidsStudy], atlas: AtlasImage
) -> list[Outcome]:
    stripper = make_stripper(worker.settings.preprocessing)
    return [worker.prepare(study, stripper, atlas) for study in studies]
