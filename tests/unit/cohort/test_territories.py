"""Territories: known structures, symmetry, and agreement with a published atlas."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from scipy import ndimage

from pirta.cohort.template import Template
from pirta.cohort.territories import (
    ANTERIOR,
    DEEP_GRAY,
    POSTERIOR,
    territory_codes,
    territory_map_mni,
)

ATLAS = (
    Path(__file__).resolve().parents[4]
    / "shared" / "data" / "atlas" / "arterial_territories_mni152_1mm.nii.gz"
)  # fmt: skip
# Level-1 numbers: lenticulostriate, choroidal and thalamoperforating arteries.
ATLAS_DEEP = (3, 4, 5, 6, 21, 22, 23, 24)
ATLAS_LAST_ANTERIOR, ATLAS_LAST_ARTERIAL = 16, 30


@pytest.mark.parametrize(
    ("structure", "mni_mm", "code"),
    [
        ("putamen", (26, 4, 2), DEEP_GRAY),
        ("globus pallidus", (19, -5, 0), DEEP_GRAY),
        ("caudate head", (13, 16, 6), DEEP_GRAY),
        ("internal capsule, posterior limb", (22, -14, 10), DEEP_GRAY),
        ("thalamus", (12, -18, 8), DEEP_GRAY),
        ("occipital pole", (12, -98, 0), POSTERIOR),
        ("lingual gyrus", (14, -70, -4), POSTERIOR),
        ("hippocampus, tail", (24, -38, -4), POSTERIOR),
        ("pons", (4, -26, -34), POSTERIOR),
        ("medulla", (3, -38, -52), POSTERIOR),
        ("inferior cerebellum", (24, -66, -46), POSTERIOR),
        ("superior cerebellum", (18, -58, -18), POSTERIOR),
        ("precentral gyrus", (42, -10, 52), ANTERIOR),
        ("superior frontal gyrus", (10, 40, 44), ANTERIOR),
        ("insula", (39, 2, 2), ANTERIOR),
        ("superior temporal gyrus", (58, -20, 4), ANTERIOR),
        ("temporal pole", (42, 14, -32), ANTERIOR),
        ("inferior parietal lobule", (50, -48, 44), ANTERIOR),
        ("amygdala", (24, -2, -20), ANTERIOR),
    ],
)
def test_a_known_structure_has_its_territory_on_both_sides(
    structure: str, mni_mm: tuple[int, int, int], code: int
) -> None:
    x, y, z = mni_mm
    both = territory_codes(np.array([x, -x]), np.array([y, y]), np.array([z, z]))
    assert list(both) == [code, code], structure


def test_the_map_has_territories_in_tissue_only(template: Template) -> None:
    codes = territory_map_mni(template)
    assert codes.shape == template.shape
    assert codes.dtype == np.uint8
    assert set(np.unique(codes)) == {0, ANTERIOR, DEEP_GRAY, POSTERIOR}
    tissue = template.gm_XYZ + template.wm_XYZ >= 0.5
    np.testing.assert_array_equal(codes > 0, tissue)


@pytest.mark.skipif(not ATLAS.is_file(), reason="the shared arterial atlas is not beside this tree")
def test_the_map_agrees_with_a_published_atlas(template: Template) -> None:
    atlas = nib.load(ATLAS)
    to_voxel = np.linalg.inv(atlas.affine) @ template.affine
    index = np.indices(template.shape).reshape(3, -1)
    at = to_voxel[:3, :3] @ index + to_voxel[:3, 3:]
    level_1 = ndimage.map_coordinates(
        np.asarray(atlas.dataobj, np.int16), at, order=0, mode="constant"
    ).reshape(template.shape)
    meaning = np.zeros(33, np.uint8)
    meaning[1 : ATLAS_LAST_ANTERIOR + 1] = ANTERIOR
    meaning[ATLAS_LAST_ANTERIOR + 1 : ATLAS_LAST_ARTERIAL + 1] = POSTERIOR
    meaning[list(ATLAS_DEEP)] = DEEP_GRAY
    theirs, ours = meaning[level_1], territory_map_mni(template)
    both = (theirs > 0) & (ours > 0)  # they label sulci too, we do not
    assert both.sum() / (ours > 0).sum() > 0.95
    dice = {
        code: 2 * float(((theirs == code) & (ours == code))[both].sum())
        / float((theirs == code)[both].sum() + (ours == code)[both].sum())
        for code in (ANTERIOR, DEEP_GRAY, POSTERIOR)
    }  # fmt: skip
    # Deep gray is the paper's class, the atlas has perforators: they differ by their nature.
    assert dice[ANTERIOR] > 0.95
    assert dice[DEEP_GRAY] > 0.70
    assert dice[POSTERIOR] > 0.90
