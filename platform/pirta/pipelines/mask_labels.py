"""A lesion mask becomes a finding: territory, side, foci, class and type, by a written rule.

Axis suffixes: X Y Z voxels (RAS+), 3 millimetres along x, y, z, V voxels of the mask. ADC is in
10⁻³ mm²/s. A public data set brings masks and no labels; these are derived, and are no reading by
a physician.

The rule:
- No mask voxel: normal.
- Territory: each mask voxel is asked for its territory at its place in MNI152. The one with the
  largest share of the volume wins, however small its lead; of equal ones the first of anterior,
  deep gray, posterior. The shares are kept beside it, and the other territories from 10 % on are
  named. Voxels beyond the template's brain have none; when all are there, the mask is refused.
- Foci: connected pieces (corners count) of at least 0.02 ml and 2 % of the lesion.
- Side: each focus lies on the side of most of its volume; from a quarter on the other side too, it
  lies on both. Bilateral is what has at least 5 % of its volume in foci on each side.
- Class: strong where the 30th percentile of the mask's ADC (its border fades) is below 0.70 of the
  median of the same territory's tissue outside it.
- Type: by territory, volume and foci, at the borders between the ranges of `lesion_plan`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from pirta.cohort.lesion_plan import TERRITORY_CODES, lesion_class_of
from pirta.cohort.prepared_rows import Facts
from pirta.cohort.territories import territory_codes
from pirta.contracts.finding import Finding, InfarctType, Laterality, LesionClass, Territory
from pirta.errors import IntensityError, RegistrationError
from pirta.imaging.atlas_registration import AtlasFit, AtlasImage, sample_atlas
from pirta.imaging.volume import Volume
from pirta.pipelines.territory_maps import BEYOND_BRAIN_MM, FLUID_ADC

NAMED_SHARE = 0.10
LEAST_FOCUS_ML, LEAST_FOCUS_SHARE = 0.02, 0.02
CROSSING_SHARE, BILATERAL_SHARE = 0.25, 0.05
_CORE_PERCENTILE = 30

# Upper borders in ml; halfway (in logarithm) between neighbouring types' ranges.
_CORTICAL_BORDERS_ML = {Territory.ANTERIOR: (4.9, 37.4), Territory.POSTERIOR: (4.5, 22.4)}
_LACUNE_ML, _STRIATO_CAPSULAR_ML = 1.77, 2.75  # 1.77 ml is a sphere of 15 mm, the usual limit


@dataclass(frozen=True)
class MaskLabel:
    """What a mask says.

    Attributes:
        finding: None for an empty mask.
        lesion_ml: volume of the mask.
        shares: of the mask's volume in each territory; the rest lies in none.
    """

    finding: Finding | None
    lesion_ml: float
    shares: dict[Territory, float]
    num_foci: int
    right_share: float
    adc_ratio: float | None = None

    def facts(self) -> Facts:
        """Return all of it for a row."""
        facts: Facts = {
            "lesion_ml": round(self.lesion_ml, 4),
            "label_from": "mask and MNI152 registration",
        }
        if self.finding is None:
            return facts
        facts |= {
            f"share_{territory.name.lower()}": round(self.shares[territory], 4)
            for territory in Territory
        }
        facts |= {
            "share_no_territory": round(max(0.0, 1 - sum(self.shares.values())), 4),
            "territories": ", ".join(
                one.name.lower() for one in Territory if self.shares[one] >= NAMED_SHARE
            ),
            "laterality": str(self.finding.laterality),
            "multifocal": self.finding.multifocal,
            "num_foci": float(self.num_foci),
            "right_share": round(self.right_share, 4),
        }
        return facts if self.adc_ratio is None else {**facts, "adc_ratio": round(self.adc_ratio, 4)}

    def with_contrast(
        self,
        adc_XYZ: NDArray[np.float32],
        mask_XYZ: NDArray[np.bool_],
        territory_XYZ: NDArray[np.uint8],
    ) -> MaskLabel:
        """Return the label with its class as the ADC says, on whatever grid the three share.

        Without tissue on either side of the mask's border the class stays strong.
        """
        if self.finding is None:
            return self
        is_tissue_XYZ = (adc_XYZ > 0) & (adc_XYZ < FLUID_ADC)
        own_XYZ = territory_XYZ == TERRITORY_CODES[self.finding.territory]
        inside, outside = (
            adc_XYZ[mask_XYZ & (adc_XYZ > 0)],
            adc_XYZ[own_XYZ & is_tissue_XYZ & ~mask_XYZ],
        )
        if not inside.size or not outside.size:
            return self
        ratio = float(np.percentile(inside, _CORE_PERCENTILE) / np.median(outside))
        finding = self.finding.model_copy(update={"lesion_class": lesion_class_of(ratio)})
        return replace(self, finding=finding, adc_ratio=ratio)


def check_mask(mask: Volume) -> NDArray[np.bool_]:
    """Return a mask as truth values.

    Raises:
        IntensityError: it holds other values than 0 and 1.
    """
    is_lesion_XYZ = np.asarray(mask.data_XYZ == 1)
    other = mask.data_XYZ[~is_lesion_XYZ & (mask.data_XYZ != 0)]
    if other.size:
        raise IntensityError(
            f"The mask holds {other.size} voxels that are neither 0 nor 1 ({float(other.min()):g} "
            f"to {float(other.max()):g}).",
            remedy="Save the lesion as 1 and everything else as 0.",
        )
    return is_lesion_XYZ


def label_mask(
    mask_XYZ: NDArray[np.bool_], affine: NDArray[np.float64], fit: AtlasFit, atlas: AtlasImage
) -> MaskLabel:
    """Return what a mask says, by the rule above; the class is `with_contrast`'s.

    Args:
        affine: voxel to the world millimetres that `fit` starts from.

    Raises:
        RegistrationError: no voxel of the mask lies in any territory.
    """
    voxel_ml = abs(float(np.linalg.det(affine[:3, :3]))) / 1000
    lesion_ml = float(mask_XYZ.sum()) * voxel_ml
    if not mask_XYZ.any():
        return MaskLabel(None, 0.0, dict.fromkeys(Territory, 0.0), 0, 0.0)
    at_3XYZ = fit.positions_mm(mask_XYZ.shape, affine)
    at_3V = at_3XYZ[:, mask_XYZ]
    outside_V = sample_atlas(atlas.outside_mm_XYZ, atlas, at_3V)
    codes_V = np.where(outside_V <= BEYOND_BRAIN_MM, territory_codes(*at_3V), 0)
    shares = {one: float((codes_V == code).mean()) for one, code in TERRITORY_CODES.items()}
    if not any(shares.values()):
        raise RegistrationError(
            f"No voxel of the mask ({lesion_ml:.2f} ml) lies in a territory.",
            remedy="Check that the mask belongs to this study, and lies in the brain.",
        )
    territory = max(TERRITORY_CODES, key=lambda one: shares[one])
    right_XYZ = at_3XYZ[0] > 0
    foci = _foci(mask_XYZ, right_XYZ, voxel_ml)
    finding = Finding(
        lesion_class=LesionClass.STRONG,
        infarct_type=_type_of(territory, lesion_ml, len(foci)),
        territory=territory,
        laterality=_side(foci),
        multifocal=len(foci) > 1,
    )
    right_share = float(right_XYZ[mask_XYZ].mean())
    return MaskLabel(finding, lesion_ml, shares, len(foci), right_share)


def _foci(
    mask_XYZ: NDArray[np.bool_], right_XYZ: NDArray[np.bool_], voxel_ml: float
) -> list[tuple[float, float]]:
    """Return volume and right share of each focus; the largest piece always is one."""
    pieces_XYZ, _ = ndimage.label(mask_XYZ, structure=np.ones((3, 3, 3)))
    counts = np.bincount(pieces_XYZ.ravel())[1:]
    rights = np.bincount(pieces_XYZ[right_XYZ], minlength=len(counts) + 1)[1:]
    least = max(LEAST_FOCUS_ML / voxel_ml, LEAST_FOCUS_SHARE * counts.sum())
    kept = [number for number, count in enumerate(counts) if count >= least]
    kept = kept or [int(counts.argmax())]
    return [(float(counts[n]) * voxel_ml, float(rights[n] / counts[n])) for n in kept]


def _side(foci: list[tuple[float, float]]) -> Laterality:
    total_ml = sum(volume_ml for volume_ml, _ in foci)
    right_ml = left_ml = 0.0
    for volume_ml, right_share in foci:
        if CROSSING_SHARE <= right_share <= 1 - CROSSING_SHARE:
            right_ml += volume_ml * right_share
            left_ml += volume_ml * (1 - right_share)
        elif right_share > 0.5:
            right_ml += volume_ml
        else:
            left_ml += volume_ml
    if min(right_ml, left_ml) >= BILATERAL_SHARE * total_ml:
        return Laterality.BILATERAL
    return Laterality.RIGHT if right_ml > left_ml else Laterality.LEFT


def _type_of(territory: Territory, lesion_ml: float, num_foci: int) -> InfarctType:
    if territory is Territory.DEEP_GRAY:
        if lesion_ml >= _STRIATO_CAPSULAR_ML:
            return InfarctType.SMALL_STRIATO_CAPSULAR
        is_lacune = lesion_ml <= _LACUNE_ML and num_foci == 1
        return InfarctType.SMALL_LACUNE if is_lacune else InfarctType.SMALL
    small_ml, wedge_ml = _CORTICAL_BORDERS_ML[territory]
    if lesion_ml < small_ml:
        return InfarctType.SMALL
    return InfarctType.WEDGE_VASCULAR if lesion_ml < wedge_ml else InfarctType.LARGE_VASCULAR
