"""Where a brain lies in the template: what a fit means, and which fits are refused.

Registration itself is compared with known answers where whole brains are made, in the pipelines'
tests. Axis suffixes: X Y Z voxels, 3 millimetres along x, y, z.
"""

from __future__ import annotations

import numpy as np
import pytest

from pirta.errors import RegistrationError
from pirta.imaging.atlas_registration import (
    AtlasFit,
    AtlasImage,
    check_fit,
    register_to_atlas,
    sample_atlas,
)


@pytest.fixture(scope="module")
def ramp() -> AtlasImage:
    """A small template whose values say where they stand: x + 100 y, at 2 mm from -10."""
    x, y, _ = np.meshgrid(*[np.arange(10) * 2.0 - 10] * 3, indexing="ij")
    affine = np.diag([2.0, 2, 2, 1])
    affine[:3, 3] = -10
    values_XYZ = (x + 100 * y).astype(np.float32)
    return AtlasImage(values_XYZ, np.zeros_like(values_XYZ), affine)


def _fit(matrix: np.ndarray, *, information: float = 0.4, share: float = 0.97) -> AtlasFit:
    world_to_atlas = np.eye(4)
    world_to_atlas[:3, :3] = matrix
    return AtlasFit(world_to_atlas, information, share, 0.9)


def test_positions_are_the_affine_applied_to_each_voxel() -> None:
    fit = _fit(np.array([[0.0, -1.1, 0], [0.9, 0, 0], [0, 0, 1.2]]))
    fit.world_to_atlas[:3, 3] = [5, -6, 7]
    affine = np.array([[-2.0, 0, 0, 30], [0, 2, 0, -20], [0, 0, 4, 9], [0, 0, 0, 1]])
    at_3XYZ = fit.positions_mm((3, 4, 5), affine)
    assert at_3XYZ.shape == (3, 3, 4, 5)
    for index in np.ndindex(3, 4, 5):
        slow = fit.world_to_atlas @ affine @ np.array([*index, 1.0])
        np.testing.assert_allclose(at_3XYZ[(slice(None), *index)], slow[:3], rtol=1e-5)
    assert fit.stretches == pytest.approx((1.2, 1.1, 0.9))


def test_the_template_is_asked_in_millimetres_and_beyond_its_edge_says_the_edges_value(
    ramp: AtlasImage,
) -> None:
    at_3XYZ = np.array([[1.0, 3.3, 99.0], [-2.0, 0.5, 0.0], [0.0, 0.0, 0.0]])[:, :, None, None]
    found = sample_atlas(ramp.fluid_XYZ, ramp, at_3XYZ.astype(np.float32)).ravel()
    np.testing.assert_allclose(found, [1 - 200, 3.3 + 50, 8.0], rtol=1e-5)


@pytest.mark.parametrize(
    ("fit", "problem"),
    [
        (_fit(np.eye(3), information=0.14), r"0\.14 nats"),
        (_fit(np.eye(3), share=0.84), "84% of the brain inside"),
        (_fit(np.diag([0.69, 1, 1])), r"stretches of 0\.69 to 1\.00"),
        (_fit(np.diag([1, 1, 1.5])), r"stretches of 1\.00 to 1\.50"),
    ],
)
def test_a_fit_that_no_brain_can_have_is_refused_with_its_number(
    fit: AtlasFit, problem: str
) -> None:
    with pytest.raises(RegistrationError, match=problem):
        check_fit(fit)
    check_fit(_fit(np.diag([0.9, 1.1, 1.0])))


def test_a_study_without_a_brain_is_refused(ramp: AtlasImage) -> None:
    nothing_XYZ = np.zeros((4, 4, 4), np.float32)
    with pytest.raises(RegistrationError, match="no brain to register"):
        register_to_atlas(nothing_XYZ, nothing_XYZ > 0, np.eye(4), ramp)
