"""Lesions: they lie where they were asked for, and the images answer as the physics says."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pirta.cohort.lesions import grow_lesion, insert_lesion, plan_lesion
from pirta.contracts.finding import InfarctType, Label, Laterality
from pirta.errors import GeometryError

SPACING_MM = (2.0, 2.0, 4.0)
LESION_LABELS = [Label.ANTERIOR, Label.DEEP_GRAY, Label.POSTERIOR]
SIDES = list(Laterality)


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    seed=st.integers(0, 2**32 - 1),
    label=st.sampled_from(LESION_LABELS),
    side=st.sampled_from(SIDES),
)
def test_a_lesion_lies_in_its_territory_on_its_side_with_its_volume(
    toy_territories_XYZ: NDArray[np.uint8], seed: int, label: Label, side: Laterality
) -> None:
    rng = np.random.default_rng(seed)
    plan = plan_lesion(rng, label=label, laterality=side)
    fraction = grow_lesion(rng, plan, toy_territories_XYZ, SPACING_MM)
    touched = np.argwhere(fraction > 0)
    assert set(toy_territories_XYZ[fraction > 0]) == {plan.territory_code}
    on_right = touched[:, 0] >= 48  # RAS+: the second half is the patient's right
    assert {True, False} == set(on_right) if side is Laterality.BILATERAL else True
    if side is not Laterality.BILATERAL:
        assert set(on_right) == {side is Laterality.RIGHT}
    voxel_ml = float(np.prod(SPACING_MM)) / 1000
    wanted = plan.target_volume_ml
    # Soft borders add a little to a lesion of a few voxels; foci may overlap; territories end.
    if side is not Laterality.BILATERAL:
        own_ml = float(((toy_territories_XYZ == plan.territory_code).sum() / 2) * voxel_ml)
        wanted = min(wanted, 0.9 * own_ml)
    made_ml = float(fraction.sum()) * voxel_ml
    assert 0.65 * wanted - 2 * voxel_ml <= made_ml <= 1.35 * plan.target_volume_ml + 4 * voxel_ml
    assert fraction.min() >= 0
    assert 0.9 < fraction.max() <= 1


def test_the_same_seed_grows_the_same_lesion(toy_territories_XYZ: NDArray[np.uint8]) -> None:
    def grow(seed: int) -> bytes:
        rng = np.random.default_rng(seed)
        return grow_lesion(rng, plan_lesion(rng), toy_territories_XYZ, SPACING_MM).tobytes()

    assert grow(8) == grow(8)
    assert grow(8) != grow(9)


def test_the_midline_that_is_given_decides_the_side(toy_territories_XYZ: NDArray[np.uint8]) -> None:
    rng = np.random.default_rng(2)
    plan = plan_lesion(rng, label=Label.ANTERIOR, laterality=Laterality.RIGHT)
    x_mm = np.arange(96) * 2.0 - 120.0  # midline at voxel 60
    line = grow_lesion(np.random.default_rng(3), plan, toy_territories_XYZ, SPACING_MM, x_mm=x_mm)
    full = np.broadcast_to(x_mm[:, None, None], toy_territories_XYZ.shape)
    same = grow_lesion(np.random.default_rng(3), plan, toy_territories_XYZ, SPACING_MM, x_mm=full)
    assert np.argwhere(line > 0)[:, 0].min() > 60
    np.testing.assert_array_equal(line, same)


def test_a_wedge_reaches_the_brains_surface_and_a_lacune_does_not(
    toy_territories_XYZ: NDArray[np.uint8],
) -> None:
    outside = np.pad(toy_territories_XYZ, 1) == 0
    beside_outside = np.zeros(toy_territories_XYZ.shape, bool)
    for axis in range(3):
        for step in (-1, 1):
            beside_outside |= np.roll(outside, step, axis)[1:-1, 1:-1, 1:-1]
    for label, kind, reaches in (
        (Label.ANTERIOR, InfarctType.WEDGE_VASCULAR, True),
        (Label.POSTERIOR, InfarctType.WEDGE_VASCULAR, True),
        (Label.DEEP_GRAY, InfarctType.SMALL_LACUNE, False),
    ):
        for seed in range(5):
            rng = np.random.default_rng(seed)
            plan = plan_lesion(rng, label=label, infarct_type=kind)
            fraction = grow_lesion(rng, plan, toy_territories_XYZ, SPACING_MM)
            assert bool((beside_outside & (fraction > 0.5)).any()) == reaches


def test_a_territory_missing_on_the_side_asked_is_named() -> None:
    left_only = np.zeros((20, 20, 10), np.uint8)
    left_only[2:8, 5:15, 2:8] = 1
    plan = plan_lesion(np.random.default_rng(0), label=Label.ANTERIOR, laterality=Laterality.RIGHT)
    with pytest.raises(GeometryError, match="anterior circulation territory on the right side"):
        grow_lesion(
            np.random.default_rng(0), plan, left_only, SPACING_MM, x_mm=np.arange(20) - 10.0
        )
    with pytest.raises(GeometryError, match="no voxel"):
        grow_lesion(np.random.default_rng(0), plan, np.zeros_like(left_only), SPACING_MM)


@given(
    seed=st.integers(0, 2**32 - 1), b_value=st.floats(400, 2000), gain=st.sampled_from([1.0, 750.0])
)
@settings(deadline=None)
def test_the_signal_follows_the_diffusion_equation(seed: int, b_value: float, gain: float) -> None:
    rng = np.random.default_rng(seed)
    plan = plan_lesion(rng)
    adc = rng.uniform(0.5, 1.2, (6, 5, 4)).astype(np.float32)
    b0 = rng.uniform(0.5, 2.0, adc.shape)
    dwi = (gain * b0 * np.exp(-b_value * 1e-3 * adc)).astype(np.float32)
    fraction = rng.uniform(0, 1, adc.shape).astype(np.float32)
    fraction[0] = 0
    new_dwi, new_adc = insert_lesion(dwi, adc, fraction, plan=plan, b_value_s_mm2=b_value)
    expected_adc = adc * (1 - fraction * (1 - plan.adc_ratio))
    expected_b0 = gain * b0 * (1 + fraction * (plan.t2_ratio - 1))
    np.testing.assert_allclose(new_adc, expected_adc, rtol=1e-5)
    np.testing.assert_allclose(
        new_dwi, expected_b0 * np.exp(-b_value * 1e-3 * expected_adc), rtol=1e-4
    )
    np.testing.assert_array_equal(new_dwi[0], dwi[0])


def test_a_full_voxel_brightens_by_the_plans_own_ratio() -> None:
    plan = plan_lesion(np.random.default_rng(4))
    one = np.ones((1, 1, 1), np.float32)
    dwi, adc = insert_lesion(one, 0.8 * one, one, plan=plan, b_value_s_mm2=1000)
    assert float(dwi[0, 0, 0]) == pytest.approx(plan.dwi_ratio(adc=0.8, b_value_s_mm2=1000), 1e-5)
    assert float(adc[0, 0, 0]) == pytest.approx(0.8 * plan.adc_ratio, 1e-5)


def test_fluid_and_empty_voxels_take_no_lesion_and_inputs_stay() -> None:
    plan = plan_lesion(np.random.default_rng(4))
    adc = np.array([[[3.0, 2.0, 0.0, 0.8]]], np.float32)
    dwi = np.array([[[0.2, 0.3, 0.0, 1.0]]], np.float32)
    kept = adc.copy(), dwi.copy()
    new_dwi, new_adc = insert_lesion(dwi, adc, np.ones_like(adc), plan=plan, b_value_s_mm2=1000)
    np.testing.assert_array_equal(new_adc[..., :3], adc[..., :3])
    np.testing.assert_array_equal(new_dwi[..., :3], dwi[..., :3])
    assert new_dwi[0, 0, 3] > 1
    np.testing.assert_array_equal(adc, kept[0])
    np.testing.assert_array_equal(dwi, kept[1])


def test_no_lesion_changes_nothing() -> None:
    plan = plan_lesion(np.random.default_rng(4))
    values = np.random.default_rng(1).uniform(0.5, 1, (3, 4, 5)).astype(np.float32)
    dwi, adc = insert_lesion(values, values, np.zeros_like(values), plan=plan, b_value_s_mm2=1000)
    np.testing.assert_array_equal(dwi, values)
    np.testing.assert_array_equal(adc, values)
