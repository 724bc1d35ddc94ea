"""A phantom study: a head, perhaps an infarct, a scanner, and the pair of images that come out.

Axis suffixes: xyz voxels of the head's 2 mm grid (RAS+), XYZ voxels of the scanner's grid, IJK
voxels as stored, in the scanner's own orientation. ADC inside is in 10⁻³ mm²/s; the stored map
is in the scanner's unit. The seed decides every voxel. Files are written by `make`.

The ADC map is computed from the noisy b0 and DWI as a scanner does, so noise, partial volume
and ghosts are in it; `truth_adc_IJK` is the same without noise.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pirta.cohort.acquisition import Placement, place_head, receive, sample, sample_labels
from pirta.cohort.anatomy import Anatomy, make_anatomy
from pirta.cohort.lesions import LesionPlan, grow_lesion, insert_lesion
from pirta.cohort.scanner import Scanner
from pirta.cohort.storing import Storing, adc_of, stored_units
from pirta.cohort.template import SPACING_MM, Template, load_template
from pirta.cohort.tissue import TissueMaps, make_tissue


@dataclass(frozen=True)
class Phantom:
    """A study with its answer, every array in the stored orientation.

    Attributes:
        dwi_IJK, adc_IJK: as the scanner's files hold them, dtype and unit included.
        mask_IJK: 1 where at least half of a voxel's fullest share is infarct.
        territory_IJK: 0 none, 1 anterior, 2 deep gray, 3 posterior.
        brain_IJK: 1 in the brain.
        truth_adc_IJK: noiseless ADC in 10⁻³ mm²/s.
        affine: stored voxel to millimetres, RAS+.
    """

    dwi_IJK: NDArray[np.generic]
    adc_IJK: NDArray[np.generic]
    mask_IJK: NDArray[np.uint8]
    territory_IJK: NDArray[np.uint8]
    brain_IJK: NDArray[np.uint8]
    truth_adc_IJK: NDArray[np.float32]
    affine: NDArray[np.float64]
    scanner: Scanner
    plan: LesionPlan | None

    @property
    def lesion_volume_ml(self) -> float:
        """Volume of the mask."""
        return float(self.mask_IJK.sum()) * abs(float(np.linalg.det(self.affine[:3, :3]))) / 1000


def make_phantom(
    case_seed: int,
    scanner: Scanner,
    plan: LesionPlan | None,
    *,
    template: Template | None = None,
) -> Phantom:
    """Return the study that this seed, scanner and plan make; without a plan it is normal.

    Args:
        template: loaded once by the caller for many cases; None loads it (seconds).
    """
    rng = np.random.default_rng([case_seed, 0x5043])
    anatomy_rng, tissue_rng, lesion_rng, pose_rng, noise_rng = rng.spawn(5)
    anatomy = make_anatomy(anatomy_rng, template or load_template())
    tissue = make_tissue(tissue_rng, anatomy, te_ms=scanner.te_ms, with_head=not scanner.stripped)
    fraction_xyz = _lesion(lesion_rng, plan, anatomy)
    b0_xyz, dwi_xyz = _signals(tissue, fraction_xyz, plan, scanner.b_value_s_mm2)
    placement = place_head(pose_rng, scanner, anatomy.affine)
    b0_XYZ, dwi_XYZ = (sample(part, placement, scanner) for part in (b0_xyz, dwi_xyz))
    brain_XYZ = sample_labels(anatomy.brain_XYZ.astype(np.uint8), placement)
    truth_XYZ = adc_of(b0_XYZ, dwi_XYZ, scanner.b_value_s_mm2) * brain_XYZ
    heard_b0, heard_dwi = receive(
        noise_rng, b0_XYZ, dwi_XYZ, scanner, placement, tissue_dwi=_tissue_signal(tissue, scanner)
    )
    dwi_stored, adc_stored = stored_units(heard_b0, heard_dwi, brain_XYZ, scanner)
    store = Storing(placement, scanner)
    return Phantom(
        dwi_IJK=store(dwi_stored),
        adc_IJK=store(adc_stored),
        mask_IJK=store(_mask(fraction_xyz, placement, scanner)),
        territory_IJK=store(sample_labels(anatomy.territory_XYZ, placement)),
        brain_IJK=store(brain_XYZ),
        truth_adc_IJK=store(truth_XYZ),
        affine=store.affine,
        scanner=scanner,
        plan=plan,
    )


def _lesion(
    rng: np.random.Generator, plan: LesionPlan | None, anatomy: Anatomy
) -> NDArray[np.float32]:
    if plan is None:
        return np.zeros(anatomy.territory_XYZ.shape, np.float32)
    return grow_lesion(
        rng, plan, anatomy.territory_XYZ, (SPACING_MM,) * 3, x_mm=anatomy.mni_3XYZ[0]
    )


def _signals(
    tissue: TissueMaps,
    fraction_xyz: NDArray[np.float32],
    plan: LesionPlan | None,
    b_value_s_mm2: float,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Noiseless b0 and DWI of each voxel: its tissue, perhaps infarcted, and its rest."""
    b = np.float32(b_value_s_mm2 * 1e-3)
    dwi, adc = tissue.b0_XYZ * np.exp(-b * tissue.adc_XYZ), tissue.adc_XYZ
    b0 = tissue.b0_XYZ
    if plan is not None:
        dwi, adc = insert_lesion(dwi, adc, fraction_xyz, plan=plan, b_value_s_mm2=b_value_s_mm2)
        b0 = dwi * np.exp(b * adc)
    rest_dwi = tissue.rest_b0_XYZ * np.exp(-b * tissue.rest_adc_XYZ)
    share = tissue.share_XYZ
    return share * b0 + tissue.rest_b0_XYZ, share * dwi + rest_dwi


def _tissue_signal(tissue: TissueMaps, scanner: Scanner) -> float:
    """The DWI signal of brain tissue, before shading."""
    inside = tissue.share_XYZ > 0.9
    decay = np.exp(-scanner.b_value_s_mm2 * 1e-3 * tissue.adc_XYZ[inside][::16])
    return float(np.median(tissue.b0_XYZ[inside][::16] * decay))


def _mask(
    fraction_xyz: NDArray[np.float32], placement: Placement, scanner: Scanner
) -> NDArray[np.uint8]:
    share_XYZ = sample(fraction_xyz, placement, scanner)
    fullest = float(share_XYZ.max())
    if fullest == 0:
        return np.zeros(share_XYZ.shape, np.uint8)
    return (share_XYZ >= 0.5 * fullest).astype(np.uint8)
