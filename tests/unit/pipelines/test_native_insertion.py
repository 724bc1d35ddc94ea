"""Lesions on a scanner's own grid: side, volume, mask and label as asked, all else untouched.

Axis suffixes: C channels, X Y Z voxels, V voxels of a mask.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from numpy.typing import NDArray

from pirta.cohort.lesion_requests import LesionRequest
from pirta.cohort.nifti_bytes import nifti_bytes
from pirta.cohort.phantom import make_phantom
from pirta.cohort.scanner import coarse_scanner
from pirta.cohort.table import read_cohort
from pirta.cohort.template import Template
from pirta.cohort.territories import territory_codes
from pirta.contracts.finding import Label, Laterality
from pirta.contracts.study import StudyImages
from pirta.errors import GeometryError, ManifestError, SeriesError
from pirta.imaging.atlas_registration import AtlasImage
from pirta.imaging.strip import make_stripper
from pirta.imaging.volume import Volume
from pirta.pipelines.native_insertion import (
    NativeHost,
    insert_native,
    read_host,
    write_native_set,
)
from pirta.pipelines.territory_maps import territories_on
from pirta.settings import PreprocessingSettings
from tests.unit.pipelines.brains import made_brain

SHAPE = (64, 76, 62)
PLAIN = np.array([[3.0, 0, 0, -94], [0, 3, 0, -130], [0, 0, 3, -76], [0, 0, 0, 1]])


def _host(atlas: AtlasImage, affine: NDArray[np.float64]) -> NativeHost:
    """Return the template's brain as a study whose world is MNI152 itself."""
    brain = made_brain(atlas, SHAPE, affine)
    dwi = Volume(brain.volume_CXYZ[0] * 300, affine)
    territories = territories_on(brain.volume_CXYZ[1], brain.brain_XYZ, affine, brain.fit, atlas)
    return NativeHost(dwi, brain.volume_CXYZ[1], brain.brain_XYZ, territories, 1000.0)


@pytest.fixture(scope="module")
def plain(atlas: AtlasImage) -> NativeHost:
    """Stored from left to right."""
    return _host(atlas, PLAIN)


@pytest.fixture(scope="module")
def flipped(atlas: AtlasImage) -> NativeHost:
    """Stored from right to left."""
    affine = PLAIN @ np.diag([-1.0, 1, 1, 1])
    affine[0, 3] = -PLAIN[0, 3]
    return _host(atlas, affine)


@pytest.mark.parametrize("side", [Laterality.LEFT, Laterality.RIGHT])
@pytest.mark.parametrize("label", [Label.ANTERIOR, Label.DEEP_GRAY, Label.POSTERIOR])
@pytest.mark.parametrize("orientation", ["plain", "flipped"])
def test_a_lesion_has_the_side_territory_and_volume_asked_for(
    orientation: str, label: Label, side: Laterality, request: pytest.FixtureRequest
) -> None:
    host: NativeHost = request.getfixturevalue(orientation)
    lesion = insert_native(host, LesionRequest(label, side, 4.0), np.random.default_rng(5))
    assert (lesion.plan.finding.label, lesion.plan.finding.laterality) == (label, side)
    assert lesion.lesion_ml == pytest.approx(4.0, rel=0.15)
    assert lesion.lesion_ml == pytest.approx(float(lesion.mask_XYZ.sum()) * 0.027)
    at_V3 = nib.affines.apply_affine(host.dwi.affine, np.argwhere(lesion.mask_XYZ))
    assert set(at_V3[:, 0] > 0) == {side is Laterality.RIGHT}
    code = {Label.ANTERIOR: 1, Label.DEEP_GRAY: 2, Label.POSTERIOR: 3}[label]
    assert set(territory_codes(*at_V3.T)) == {code}


def test_what_the_lesion_does_not_touch_stays_equal_to_the_bit(plain: NativeHost) -> None:
    before = (plain.dwi.data_XYZ.copy(), plain.adc_XYZ.copy())
    request = LesionRequest(Label.ANTERIOR, Laterality.LEFT, 8.0)
    lesion = insert_native(plain, request, np.random.default_rng(1))
    np.testing.assert_array_equal(plain.dwi.data_XYZ, before[0])
    np.testing.assert_array_equal(plain.adc_XYZ, before[1])
    changed_XYZ = (lesion.dwi_XYZ != before[0]) | (lesion.adc_XYZ != before[1])
    assert changed_XYZ[lesion.mask_XYZ > 0].all()
    # The border fades over a voxel or two around the mask, and nothing beyond it has changed.
    near = np.argwhere(lesion.mask_XYZ)
    low, high = near.min(axis=0) - 4, near.max(axis=0) + 5
    box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    assert changed_XYZ.sum() == changed_XYZ[box].sum()
    assert not changed_XYZ[~plain.brain_XYZ].any()
    inside = lesion.mask_XYZ > 0
    assert (lesion.dwi_XYZ[inside] > before[0][inside]).all()
    assert (lesion.adc_XYZ[inside] < before[1][inside]).all()


def test_a_drawn_volume_that_does_not_fit_is_drawn_again_and_an_asked_one_is_not(
    plain: NativeHost,
) -> None:
    # A map with 3 ml of deep gray on the left: most drawn volumes fit only at the second try.
    territory_XYZ = plain.territories.territory_XYZ.copy()
    deep = np.argwhere((territory_XYZ == 2) & (plain.territories.x_mm_XYZ < -15))
    keep_XYZ = np.zeros(SHAPE, bool)
    middle = deep.mean(axis=0)
    nearest = deep[np.argsort(((deep - middle) ** 2).sum(axis=1))[:110]]
    keep_XYZ[tuple(nearest.T)] = True
    territory_XYZ[(territory_XYZ == 2) & ~keep_XYZ] = 0
    small = replace(plain, territories=replace(plain.territories, territory_XYZ=territory_XYZ))
    drawn = LesionRequest(Label.DEEP_GRAY, Laterality.LEFT)
    volumes = [insert_native(small, drawn, np.random.default_rng(n)).lesion_ml for n in range(6)]
    assert max(volumes) < 3.5
    with pytest.raises(GeometryError, match=r"12\.00 ml does not fit"):
        insert_native(small, replace(drawn, volume_ml=12.0), np.random.default_rng(0))


def test_a_set_in_which_one_lesion_does_not_fit_leaves_nothing_behind(
    plain: NativeHost, tmp_path: Path
) -> None:
    requests = [
        LesionRequest(Label.ANTERIOR, Laterality.LEFT, 1.0),
        LesionRequest(Label.DEEP_GRAY, Laterality.LEFT, 200.0),
    ]
    with pytest.raises(GeometryError, match=r"200\.00 ml does not fit"):
        write_native_set(plain, requests, str(tmp_path / "out"), name="n1")
    assert not (tmp_path / "out").exists()


def test_a_name_that_cannot_be_a_files_and_a_finished_folder_are_refused(
    plain: NativeHost, tmp_path: Path
) -> None:
    with pytest.raises(ManifestError, match="cannot be a file name"):
        write_native_set(plain, [], str(tmp_path), name="a/b")
    (tmp_path / "cohort.parquet").touch()
    with pytest.raises(ManifestError, match=r"holds a cohort\.parquet already"):
        write_native_set(plain, [], str(tmp_path), name="n1")


@pytest.mark.parametrize("b_value", [-1000.0, 0.0, float("nan"), float("inf")])
def test_a_b_value_that_is_none_is_refused_before_anything_is_read(
    b_value: float, atlas: AtlasImage
) -> None:
    stripper = make_stripper(PreprocessingSettings())
    with pytest.raises(SeriesError, match="A b value of"):
        read_host(StudyImages(dwi=b"", adc=b""), stripper=stripper, b_value_s_mm2=b_value)


def test_a_study_stored_from_right_to_left_becomes_a_cohort_with_true_sides(
    template: Template, atlas: AtlasImage, tmp_path: Path
) -> None:
    phantom = make_phantom(21, coarse_scanner(), None, template=template)
    assert phantom.affine[0, 0] < 0
    images = StudyImages(
        dwi=nifti_bytes(phantom.dwi_IJK, phantom.affine),
        adc=nifti_bytes(phantom.adc_IJK, phantom.affine),
    )
    stripper = make_stripper(PreprocessingSettings())
    with pytest.raises(SeriesError, match="b value is not told"):
        read_host(images, stripper=stripper, atlas=atlas)
    host = read_host(images, stripper=stripper, atlas=atlas, b_value_s_mm2=800.0)
    asked = [LesionRequest(Label.POSTERIOR, side, 6.0) for side in Laterality][:2]
    table = write_native_set(host, asked, str(tmp_path), name="n1", split="test")
    normal, *strokes = read_cohort(table)
    assert (normal.case_id, normal.label, normal.label_known) == ("n1", Label.NORMAL, True)
    assert [case.finding and case.finding.laterality for case in strokes] == ["left", "right"]
    truth = nib.as_closest_canonical(nib.Nifti1Image(phantom.territory_IJK, phantom.affine))
    for case, side in zip(strokes, (Laterality.LEFT, Laterality.RIGHT), strict=True):
        assert case.mask_uri is not None
        mask = nib.load(tmp_path / case.mask_uri)
        mask_XYZ = np.asarray(mask.dataobj) > 0
        assert float(mask_XYZ.sum()) * 0.036 == pytest.approx(6.0, rel=0.15)
        at_V3 = nib.affines.apply_affine(mask.affine, np.argwhere(mask_XYZ))
        sign = 1 if side is Laterality.RIGHT else -1
        assert (at_V3[:, 0] * sign > -6).all()  # the phantom's head is moved and bent a little
        np.testing.assert_allclose(mask.affine, truth.affine)
        assert (np.asarray(truth.dataobj)[mask_XYZ] == 3).mean() > 0.7
        dwi_uri, _ = case.pair_uris
        after_XYZ = np.asarray(nib.load(tmp_path / dwi_uri).dataobj)
        np.testing.assert_array_equal(
            after_XYZ[~host.brain_XYZ], host.dwi.data_XYZ[~host.brain_XYZ]
        )
