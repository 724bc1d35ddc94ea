"""Phantoms: what was put in comes out, whatever the scanner makes of it."""

from __future__ import annotations

from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest
from numpy.typing import NDArray

from pirta.cohort.acquisition import place_head
from pirta.cohort.lesions import LesionPlan, plan_lesion
from pirta.cohort.phantom import Phantom, make_phantom
from pirta.cohort.scanner import AdcUnit, coarse_scanner
from pirta.cohort.storing import Storing, stored_units
from pirta.cohort.template import Template
from pirta.contracts.finding import InfarctType, Label, Laterality, LesionClass

SEED = 21
SCANNER = coarse_scanner("site-a")


def anterior_plan() -> LesionPlan:
    return plan_lesion(
        np.random.default_rng(1),
        label=Label.ANTERIOR,
        infarct_type=InfarctType.LARGE_VASCULAR,
        lesion_class=LesionClass.STRONG,
        laterality=Laterality.LEFT,
    )


@pytest.fixture(scope="module")
def normal(template: Template) -> Phantom:
    return make_phantom(SEED, SCANNER, None, template=template)


@pytest.fixture(scope="module")
def stroke(template: Template) -> Phantom:
    return make_phantom(SEED, SCANNER, anterior_plan(), template=template)


def canonical(values: NDArray[np.generic], affine: NDArray[np.float64]) -> NDArray[np.generic]:
    image = nib.as_closest_canonical(nib.Nifti1Image(values, affine))
    return np.asarray(image.dataobj)


def test_another_seed_is_another_head(template: Template, normal: Phantom) -> None:
    other = make_phantom(SEED + 1, SCANNER, None, template=template)
    for name in ("dwi_IJK", "adc_IJK", "territory_IJK"):
        assert getattr(other, name).tobytes() != getattr(normal, name).tobytes()


def test_a_normal_brain_has_textbook_values(normal: Phantom) -> None:
    brain = normal.brain_IJK > 0
    tissue = brain & (normal.truth_adc_IJK < 1.1)
    volume_ml = brain.sum() * abs(np.linalg.det(normal.affine[:3, :3])) / 1000
    assert 1300 < volume_ml < 2300  # ventricles and the sulci's fluid included
    assert 0.70 < np.median(normal.truth_adc_IJK[tissue]) < 0.92
    assert np.percentile(normal.truth_adc_IJK[brain], 99) > 2.0  # fluid
    assert not normal.mask_IJK.any()
    assert set(np.unique(normal.territory_IJK)) == {0, 1, 2, 3}


def test_the_measured_adc_follows_the_truth_within_the_noise(normal: Phantom) -> None:
    tissue = (normal.brain_IJK > 0) & (normal.truth_adc_IJK > 0.5) & (normal.truth_adc_IJK < 1.0)
    error = normal.adc_IJK[tissue] - normal.truth_adc_IJK[tissue]
    assert abs(float(np.median(error))) < 0.02
    assert 0.005 < float(error.std()) < 0.15


def test_a_stripped_scanner_leaves_nothing_outside_the_brain(normal: Phantom) -> None:
    outside = normal.brain_IJK == 0
    assert not normal.dwi_IJK[outside].any()
    assert not normal.adc_IJK[outside].any()


def test_the_infarct_lowers_the_adc_by_its_ratio_and_touches_nothing_else(
    normal: Phantom, stroke: Phantom
) -> None:
    plan = anterior_plan()
    before, after = normal.truth_adc_IJK, stroke.truth_adc_IJK
    core = (stroke.mask_IJK > 0) & (before > 0.5) & (before < 0.95)
    assert np.median(after[core] / before[core]) == pytest.approx(plan.adc_ratio, abs=0.04)
    far = np.abs(after - before) < 1e-6
    assert far[(normal.territory_IJK > 1)].mean() > 0.93  # other territories, borders aside
    assert stroke.lesion_volume_ml == pytest.approx(plan.target_volume_ml, rel=0.25)


def test_the_infarct_is_bright_on_dwi_by_its_ratio(normal: Phantom, stroke: Phantom) -> None:
    plan = anterior_plan()
    core = (stroke.mask_IJK > 0) & (normal.truth_adc_IJK > 0.6) & (normal.truth_adc_IJK < 0.95)
    rise = np.median(stroke.dwi_IJK[core].astype(float) / normal.dwi_IJK[core].astype(float))
    expected = plan.dwi_ratio(
        adc=float(np.median(normal.truth_adc_IJK[core])), b_value_s_mm2=SCANNER.b_value_s_mm2
    )
    assert rise == pytest.approx(expected, rel=0.10)


def test_the_mask_lies_in_the_territory_and_on_the_patients_side(stroke: Phantom) -> None:
    mask = stroke.mask_IJK > 0
    assert (stroke.territory_IJK[mask] == 1).mean() > 0.85  # partial volume at the pia
    voxels = np.argwhere(mask)
    x_mm = (voxels @ stroke.affine[:3, :3].T + stroke.affine[:3, 3])[:, 0]
    assert (x_mm < 0).mean() > 0.95


@pytest.mark.parametrize("codes", ["RAS", "LPS", "LAS", "RAI", "LPI", "SAR"])
def test_every_orientation_keeps_each_voxel_in_its_place(codes: str) -> None:
    scanner = replace(SCANNER, orientation=codes, matrix=10, num_slices=7, tilt_deg=14.0)
    placement = place_head(np.random.default_rng(0), scanner, np.eye(4))
    values_XYZ = np.arange(700, dtype=np.float32).reshape(scanner.shape)
    store = Storing(placement, scanner)
    stored_IJK = store(values_XYZ)
    assert "".join(nib.aff2axcodes(store.affine)) == codes
    np.testing.assert_array_equal(canonical(stored_IJK, store.affine), values_XYZ)
    for voxel_XYZ in ((0, 0, 0), (9, 2, 6), (4, 8, 1)):
        voxel_IJK = np.argwhere(stored_IJK == values_XYZ[voxel_XYZ])[0]
        np.testing.assert_allclose(
            store.affine @ [*voxel_IJK, 1], placement.affine @ [*voxel_XYZ, 1], atol=1e-9
        )


def test_the_same_seed_is_the_same_bytes_in_another_orientation(
    template: Template, normal: Phantom
) -> None:
    turned = make_phantom(SEED, replace(SCANNER, orientation="RPI"), None, template=template)
    for name in ("dwi_IJK", "adc_IJK", "mask_IJK", "territory_IJK", "brain_IJK", "truth_adc_IJK"):
        first, second = (
            canonical(getattr(phantom, name), phantom.affine) for phantom in (turned, normal)
        )
        assert first.tobytes() == second.tobytes()


@pytest.mark.parametrize(
    ("unit", "dtype", "stored"),
    [("1e-3 mm2/s", "float32", 0.8), ("1e-6 mm2/s", "int16", 800), ("mm2/s", "float32", 8e-4)],
)
def test_the_adc_is_stored_in_the_scanners_unit(unit: AdcUnit, dtype: str, stored: float) -> None:
    scanner = replace(SCANNER, adc_unit=unit, adc_dtype=dtype)  # type: ignore[arg-type]
    b0 = np.full((2, 2, 2), 1.5, np.float32)
    dwi = b0 * np.float32(np.exp(-scanner.b_value_s_mm2 * 1e-3 * 0.8))
    written_dwi, written_adc = stored_units(b0, dwi, np.ones((2, 2, 2), np.uint8), scanner)
    assert written_adc.dtype == dtype
    np.testing.assert_allclose(written_adc, stored, rtol=1e-4)
    np.testing.assert_allclose(written_dwi, dwi * scanner.gain, rtol=1e-6)


def test_a_skull_shows_outside_the_brain_faintly(template: Template) -> None:
    head = make_phantom(SEED, replace(SCANNER, stripped=False, snr=60.0), None, template=template)
    brain = head.brain_IJK > 0
    outside = head.dwi_IJK[~brain]
    level = float(np.median(head.dwi_IJK[brain]))
    assert (outside > 0.05 * level).mean() > 0.02
    assert np.percentile(outside, 99.9) < 1.5 * level
