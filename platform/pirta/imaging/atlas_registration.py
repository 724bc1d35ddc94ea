"""Where a brain lies in a template's space: one affine transform, and how far it can be trusted.

Axis suffixes: X Y Z voxels (RAS+), 3 millimetres along x, y, z, P points. "World" is the study's
millimetres, "atlas" the template's (MNI152). The study is its ADC map: fluid is bright in it on
every scanner, in lesions it is no brighter than in tissue, and of the channels and metrics tried
it found the deep nuclei best. The template is an image of the same contrast.

Mattes' mutual information, first rigid and then affine, coarse to fine, from one centre of mass
upon the other; seeded samples on one thread, so that the same study gives the same transform.
People's gyri differ by more than an affine can follow: borders are good to some millimetres.
What the template's places mean (territories) is no matter of this module.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray
from scipy import ndimage

from pirta.errors import RegistrationError

LEAST_INFORMATION = 0.15
"""Nats. Upright brains reach 0.27 (a slab of 64 mm) to 0.5; mirrored ones 0.05 to 0.10."""

LEAST_BRAIN_SHARE = 0.85
"""Share of the study's brain inside the template's; 0.93 and more was seen."""

STRETCH_RANGE = (0.7, 1.4)
"""Per axis; people's brains are within a fifth of the average brain's size."""

MARGIN_MM = 4.0
"""Ring of background around each slice of the brain that counts too: it holds the outline. Not
above and below: a slab's brain ends there where the scan does."""

_ADC_RANGE = (0.0, 3.0)
_BINS = 32
_SAMPLED_SHARE, _SEED = 0.3, 1
_RIGID_ITERATIONS, _AFFINE_ITERATIONS = 100, 150
_REMEDY = (
    "Check that the study shows an upright brain, skull-stripped, with ADC in 10⁻³ mm²/s; "
    "leave it out where it does."
)


@dataclass(frozen=True)
class AtlasImage:
    """A template to register to.

    Attributes:
        fluid_XYZ: bright where fluid is, 0 outside the brain; its scale does not matter.
        outside_mm_XYZ: distance to the brain, 0 inside.
        affine: voxel to atlas millimetres.
    """

    fluid_XYZ: NDArray[np.float32]
    outside_mm_XYZ: NDArray[np.float32]
    affine: NDArray[np.float64]


@dataclass(frozen=True)
class AtlasFit:
    """Where a study lies in the atlas.

    Attributes:
        world_to_atlas: 4x4, the study's millimetres to the template's.
        information: mutual information in nats; higher is better.
        brain_share: share of the study's brain inside the template's.
        brain_dice: overlap of the two brains; low for a slab, however well it lies.
    """

    world_to_atlas: NDArray[np.float64]
    information: float
    brain_share: float
    brain_dice: float

    def positions_mm(
        self, shape: tuple[int, ...], affine: NDArray[np.float64]
    ) -> NDArray[np.float32]:
        """Return the atlas position of each voxel of a grid, shape `(3, X, Y, Z)`."""
        index_3P = np.indices(shape, np.float32).reshape(3, -1)
        to_atlas = (self.world_to_atlas @ affine).astype(np.float32)
        at_3P = to_atlas[:3, :3] @ index_3P + to_atlas[:3, 3:]
        return np.asarray(at_3P.reshape(3, *shape), np.float32)

    @property
    def stretches(self) -> tuple[float, float, float]:
        """Length in the atlas of a study's millimetre, along the three main axes."""
        x, y, z = np.linalg.svd(self.world_to_atlas[:3, :3], compute_uv=False)
        return float(x), float(y), float(z)


def register_to_atlas(
    adc_XYZ: NDArray[np.float32],
    brain_XYZ: NDArray[np.bool_],
    affine: NDArray[np.float64],
    atlas: AtlasImage,
) -> AtlasFit:
    """Return where a study lies in the atlas.

    Args:
        adc_XYZ: 10⁻³ mm²/s, on a grid of about 2x2x4 mm without rotation (the prepared grid).

    Raises:
        RegistrationError: there is no brain, or it matches the template too badly to be used.
    """
    if not brain_XYZ.any():
        raise RegistrationError("The study has no brain to register.", remedy=_REMEDY)
    with _one_thread():
        matrix, shift_mm, information = _find_affine(adc_XYZ, brain_XYZ, affine, atlas)
    world_to_atlas = np.eye(4)
    world_to_atlas[:3, :3], world_to_atlas[:3, 3] = matrix, shift_mm
    share, dice = _overlap(world_to_atlas, brain_XYZ, affine, atlas)
    fit = AtlasFit(world_to_atlas, information, share, dice)
    check_fit(fit)
    return fit


def sample_atlas(
    values_XYZ: NDArray[np.float32], atlas: AtlasImage, at_3XYZ: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Return the template's values at atlas positions; beyond its edge, the edge's value."""
    to_voxel = np.linalg.inv(atlas.affine)
    at_3P = to_voxel[:3, :3] @ at_3XYZ.reshape(3, -1) + to_voxel[:3, 3:]
    sampled = ndimage.map_coordinates(values_XYZ, at_3P, order=1, mode="nearest")
    return np.asarray(sampled.reshape(at_3XYZ.shape[1:]), np.float32)


def check_fit(fit: AtlasFit) -> None:
    """Refuse a transform that no brain of a person can have, or that matched too badly.

    Raises:
        RegistrationError: information, overlap or stretch is outside its limit.
    """
    low, high = STRETCH_RANGE
    longest, _, shortest = fit.stretches
    if fit.information < LEAST_INFORMATION:
        problem = f"{fit.information:.2f} nats of mutual information ({LEAST_INFORMATION} needed)"
    elif fit.brain_share < LEAST_BRAIN_SHARE:
        problem = (
            f"{fit.brain_share:.0%} of the brain inside the template's ({LEAST_BRAIN_SHARE:.0%} "
            "needed)"
        )
    elif shortest < low or longest > high:
        problem = f"stretches of {shortest:.2f} to {longest:.2f} ({low} to {high} possible)"
    else:
        return
    raise RegistrationError(
        f"The brain does not match the MNI152 template: {problem}.", remedy=_REMEDY
    )


def _find_affine(
    adc_XYZ: NDArray[np.float32],
    brain_XYZ: NDArray[np.bool_],
    affine: NDArray[np.float64],
    atlas: AtlasImage,
) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """Return matrix, shift and information: rigid from the centres of mass, then affine."""
    fixed = _to_itk(np.clip(adc_XYZ, *_ADC_RANGE) * brain_XYZ, affine)
    moving = _to_itk(atlas.fluid_XYZ, atlas.affine)
    mask = _to_itk(_with_margin(brain_XYZ, affine).astype(np.uint8), affine)
    start = _centred(brain_XYZ, affine, atlas)
    rigid, _ = _search(fixed, moving, mask, start, _RIGID_ITERATIONS, (4, 2), (6.0, 3.0))
    turn, shift_mm = _matrix_of(rigid)
    centre_mm = _centre_mm(brain_XYZ, affine)  # turning about a far corner steps badly
    affine_start = sitk.AffineTransform(
        turn.ravel().tolist(),
        (turn @ centre_mm + shift_mm - centre_mm).tolist(),
        centre_mm.tolist(),
    )
    found, information = _search(
        fixed, moving, mask, affine_start, _AFFINE_ITERATIONS, (4, 2, 1), (4.0, 2.0, 1.0)
    )
    return *_matrix_of(found), information


@contextmanager
def _one_thread() -> Iterator[None]:
    """Keep ITK's inner filters on one thread: sums in another order end some 1e-6 elsewhere."""
    before = sitk.ProcessObject.GetGlobalDefaultNumberOfThreads()
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    try:
        yield
    finally:
        sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(before)


def _search(
    fixed: sitk.Image,
    moving: sitk.Image,
    mask: sitk.Image,
    start: sitk.Transform,
    num_iterations: int,
    shrink_factors: Sequence[int],
    sigmas_mm: Sequence[float],
) -> tuple[sitk.Transform, float]:
    """Return the transform found from `start`, and its mutual information."""
    method = sitk.ImageRegistrationMethod()
    method.SetNumberOfThreads(1)
    method.SetMetricAsMattesMutualInformation(_BINS)
    method.SetMetricFixedMask(mask)
    method.SetMetricSamplingStrategy(method.RANDOM)
    method.SetMetricSamplingPercentage(_SAMPLED_SHARE, seed=_SEED)
    method.SetInterpolator(sitk.sitkLinear)
    method.SetOptimizerAsRegularStepGradientDescent(
        learningRate=2.0,
        minStep=1e-3,
        numberOfIterations=num_iterations,
        relaxationFactor=0.6,
        gradientMagnitudeTolerance=1e-6,
    )
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetShrinkFactorsPerLevel(list(shrink_factors))
    method.SetSmoothingSigmasPerLevel(list(sigmas_mm))
    method.SetSmoothingSigmasAreSpecifiedInPhysicalUnits(True)
    method.SetInitialTransform(start, inPlace=False)
    try:
        found = method.Execute(fixed, moving)
    except RuntimeError:  # ITK's own words name files and lines of its source
        raise RegistrationError(
            "The brain does not match the MNI152 template: too few voxels overlap.", remedy=_REMEDY
        ) from None
    return found, -float(method.GetMetricValue())


def _centred(
    brain_XYZ: NDArray[np.bool_], affine: NDArray[np.float64], atlas: AtlasImage
) -> sitk.Transform:
    """A rigid transform that puts one brain's centre of mass upon the other's."""
    own_mm = _centre_mm(brain_XYZ, affine)
    atlas_mm = _centre_mm(atlas.outside_mm_XYZ == 0, atlas.affine)
    start = sitk.Euler3DTransform()
    start.SetCenter(own_mm.tolist())
    start.SetTranslation((atlas_mm - own_mm).tolist())
    return start


def _centre_mm(inside_XYZ: NDArray[np.bool_], affine: NDArray[np.float64]) -> NDArray[np.float64]:
    centre_vox = np.argwhere(inside_XYZ).mean(axis=0)
    return np.asarray(affine[:3, :3] @ centre_vox + affine[:3, 3], np.float64)


def _matrix_of(transform: sitk.Transform) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the matrix and the shift of an affine transform, whatever its centre."""
    shift_mm = np.asarray(transform.TransformPoint((0.0, 0.0, 0.0)), np.float64)
    columns = [np.asarray(transform.TransformPoint(step.tolist())) - shift_mm for step in np.eye(3)]
    return np.stack(columns, axis=1), shift_mm


def _with_margin(brain_XYZ: NDArray[np.bool_], affine: NDArray[np.float64]) -> NDArray[np.bool_]:
    cross_XYZ = ndimage.generate_binary_structure(3, 1)
    cross_XYZ[1, 1] = [False, True, False]  # within the slice
    spacing_mm = np.linalg.norm(affine[:3, :2], axis=0).mean()
    steps = max(1, round(MARGIN_MM / float(spacing_mm)))
    return np.asarray(ndimage.binary_dilation(brain_XYZ, cross_XYZ, iterations=steps))


def _overlap(
    world_to_atlas: NDArray[np.float64],
    brain_XYZ: NDArray[np.bool_],
    affine: NDArray[np.float64],
    atlas: AtlasImage,
) -> tuple[float, float]:
    """Return the share of the study's brain in the template's, and their Dice."""
    own_3P = np.argwhere(brain_XYZ).T
    to_voxel = np.linalg.inv(atlas.affine) @ world_to_atlas @ affine
    at_3P = np.rint(to_voxel[:3, :3] @ own_3P + to_voxel[:3, 3:]).astype(int)
    shape = np.array(atlas.outside_mm_XYZ.shape)[:, None]
    within_P = np.all((at_3P >= 0) & (at_3P < shape), axis=0)
    inside = int((atlas.outside_mm_XYZ[tuple(at_3P[:, within_P])] == 0).sum())
    # The template's brain in voxels of the study.
    theirs = float((atlas.outside_mm_XYZ == 0).sum()) / abs(float(np.linalg.det(to_voxel[:3, :3])))
    num_own = own_3P.shape[1]
    return inside / num_own, 2 * inside / (num_own + theirs)


def _to_itk(
    values_XYZ: NDArray[np.float32] | NDArray[np.uint8], affine: NDArray[np.float64]
) -> sitk.Image:
    """Return an ITK image in our own world: the axes' signs are the affine's, RAS+ stays RAS+."""
    image = sitk.GetImageFromArray(np.ascontiguousarray(values_XYZ.transpose(2, 1, 0)))
    spacing_mm = np.linalg.norm(affine[:3, :3], axis=0)
    image.SetSpacing(spacing_mm.tolist())
    image.SetOrigin(affine[:3, 3].tolist())
    image.SetDirection((affine[:3, :3] / spacing_mm).ravel().tolist())
    return image
