"""BIDS folders with masks become evaluation sets; registrations take seconds and are few.

Axis suffixes: I J K voxels as stored.
"""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from pirta.cohort.lesion_plan import plan_lesion
from pirta.cohort.nifti_bytes import nifti_bytes
from pirta.cohort.phantom import Phantom, make_phantom
from pirta.cohort.prepared_store import (
    PreparedCase,
    RefusedCase,
    load_labels,
    read_prepared,
    read_refused,
)
from pirta.cohort.scanner import coarse_scanner
from pirta.cohort.template import Template
from pirta.contracts.finding import Label, Laterality, Territory
from pirta.imaging.atlas_registration import AtlasFit, AtlasImage
from pirta.pipelines import bids_sets
from pirta.pipelines.bids_sets import BidsOptions, BidsSummary, make_bids_set
from pirta.settings import PreprocessingSettings, Settings

PhantomSet = tuple[BidsSummary, dict[str, PreparedCase], dict[str, RefusedCase]]

QUICK = Settings().model_copy(
    update={"preprocessing": PreprocessingSettings(n4_fit_spacing_mm=9.0, n4_iterations=(2,))}
)


def _write(root: Path, path: str, data: bytes) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_bytes(data)


def _write_study(
    root: Path, subject: str, phantom: Phantom, mask_IJK: np.ndarray, *, entities: str = ""
) -> None:
    stem = f"{subject}/ses-0001/dwi/{subject}_ses-0001{entities}"
    _write(root, f"{stem}_dwi.nii.gz", nifti_bytes(phantom.dwi_IJK, phantom.affine))
    _write(root, f"{stem}_adc.nii.gz", nifti_bytes(phantom.adc_IJK, phantom.affine))
    _write(root, f"{stem}_dwi.json", json.dumps({"DiffusionBValue": 800}).encode())
    derived = f"derivatives/{subject}/ses-0001/{subject}_ses-0001{entities}_desc-lesion_msk.nii.gz"
    _write(root, derived, nifti_bytes(mask_IJK, phantom.affine))


@pytest.fixture(scope="module")
def phantom(template: Template) -> Phantom:
    """A phantom with a posterior infarct of 12 ml on the right, stored from right to left."""
    plan = plan_lesion(
        np.random.default_rng(1), label=Label.POSTERIOR, laterality=Laterality.RIGHT, volume_ml=12.0
    )
    made = make_phantom(8, coarse_scanner(), plan, template=template)
    assert made.affine[0, 0] < 0
    return made


@pytest.fixture(scope="module")
def phantom_set(
    phantom: Phantom, atlas: AtlasImage, tmp_path_factory: pytest.TempPathFactory
) -> PhantomSet:
    """The set of five studies of one brain: its own mask, none, one in the air, and two unusable.

    One brain is registered once: the same volume gives the same transform.
    """
    root = tmp_path_factory.mktemp("bids")
    folder, out = root / "folder", str(root / "out")
    _write_study(folder, "sub-a", phantom, phantom.mask_IJK, entities="_acq-trace_run-1")
    _write_study(folder, "sub-b", phantom, np.zeros_like(phantom.mask_IJK))
    corner_IJK = np.zeros_like(phantom.mask_IJK)
    corner_IJK[:3, :3, :3] = 1
    _write_study(folder, "sub-c", phantom, corner_IJK)
    _write_study(folder, "sub-d", phantom, phantom.mask_IJK[:-1])
    _write_study(folder, "sub-e", phantom, phantom.mask_IJK)
    (folder / "sub-e/ses-0001/dwi/sub-e_ses-0001_adc.nii.gz").unlink()
    fits: dict[bytes, AtlasFit] = {}
    register = bids_sets.register_to_atlas

    def once(adc_XYZ: np.ndarray, *rest: object) -> AtlasFit:
        key = adc_XYZ.tobytes()
        if key not in fits:
            fits[key] = register(adc_XYZ, *rest)
        return fits[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bids_sets, "register_to_atlas", once)
        summary = make_bids_set(str(folder), out, settings=QUICK, atlas=atlas)
    assert len(fits) == 1
    prepared = {row.case.case_id: row for row in read_prepared(out)}
    return summary, prepared, {one.case_id: one for one in read_refused(out)}


def test_a_phantoms_mask_gives_the_territory_and_side_it_was_made_with(
    phantom_set: PhantomSet,
    phantom: Phantom,
) -> None:
    summary, prepared, _ = phantom_set
    assert summary == BidsSummary(num_strokes=1, num_normals=1, num_refused=3)
    row = prepared["sub-a_ses-0001_acq-trace_run-1"]
    finding = row.case.finding
    assert finding is not None
    assert (finding.territory, finding.laterality) == (Territory.POSTERIOR, Laterality.RIGHT)
    assert row.case.patient_id == "sub-a"
    assert (row.case.split, row.facts["b_value_s_mm2"]) == ("test", 800.0)
    shares = [row.facts[f"share_{one.name.lower()}"] for one in Territory]
    assert sum(map(float, shares)) + float(row.facts["share_no_territory"]) == pytest.approx(1)
    true_share = (phantom.territory_IJK[phantom.mask_IJK > 0] == 3).mean()
    assert float(row.facts["share_posterior"]) == pytest.approx(true_share, abs=0.15)
    assert float(row.facts["right_share"]) > 0.95
    assert row.facts["lesion_ml"] == pytest.approx(phantom.lesion_volume_ml, rel=1e-3)
    assert phantom.plan is not None
    assert float(row.facts["adc_ratio"]) == pytest.approx(phantom.plan.adc_ratio, abs=0.1)
    prepared_ml = float((load_labels(str(row.mask_uri)) > 0).sum()) * 0.016
    assert prepared_ml == pytest.approx(phantom.lesion_volume_ml, rel=0.1)


def test_an_empty_mask_is_a_normal_study_that_says_so(
    phantom_set: PhantomSet,
) -> None:
    row = phantom_set[1]["sub-b_ses-0001"]
    assert row.case.label is Label.NORMAL
    assert row.case.label_known
    assert row.facts["lesion_ml"] == 0.0
    assert "share_posterior" not in row.facts


@pytest.mark.parametrize(
    ("case_id", "code", "reason"),
    [
        ("sub-c_ses-0001", "registration_failed", r"No voxel of the mask \(0\.97 ml\) lies in a"),
        ("sub-d_ses-0001", "channel_mismatch", "mask"),
        ("sub-e_ses-0001", "manifest_invalid", "no adc file"),
    ],
    ids=["mask outside the brain", "mask of another grid", "no ADC"],
)
def test_a_study_that_cannot_be_labelled_is_a_dead_letter(
    phantom_set: PhantomSet,
    case_id: str,
    code: str,
    reason: str,
) -> None:
    letter = phantom_set[2][case_id]
    assert letter.code == code
    assert re.search(reason, letter.reason), letter.reason


def test_the_real_isles_case_becomes_a_left_sided_stroke_with_its_shares(
    shared_data: Path, atlas: AtlasImage, tmp_path: Path
) -> None:
    case = shared_data / "isles22-strokecase0009"
    if not case.is_dir():
        pytest.skip("no isles22-strokecase0009 in shared/data")
    place = "sub-strokecase0009/ses-0001"
    folder = tmp_path / "isles"
    for path in case.iterdir():
        top = "derivatives" if "_msk" in path.name else "rawdata"
        to = folder / top / place / ("" if "_msk" in path.name else "dwi") / path.name
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, to)
    out = str(tmp_path / "out")
    summary = make_bids_set(
        str(folder), out, settings=QUICK, options=BidsOptions(site="isles"), atlas=atlas
    )
    assert summary == BidsSummary(num_strokes=1, num_normals=0, num_refused=0)
    (row,) = read_prepared(out)
    finding = row.case.finding
    assert (row.case.case_id, row.case.site) == ("sub-strokecase0009_ses-0001", "isles")
    assert finding is not None
    assert finding.laterality is Laterality.LEFT
    assert finding.multifocal
    assert row.facts["lesion_ml"] == pytest.approx(4.18, abs=0.01)
    assert float(row.facts["right_share"]) < 0.05
    shares = {one: float(row.facts[f"share_{one.name.lower()}"]) for one in Territory}
    assert finding.territory is max(shares, key=lambda one: shares[one])
    assert 0.95 < sum(shares.values()) <= 1.001
