"""A prepared store of ellipsoid "brains", made in a second: for what needs cases and no anatomy.

One case a label in each split. Every case has a territory map; strokes have a mask and a finding.
How long a step takes, and whether a run resumes, does not depend on what brains look like.

Axis suffixes: X Y Z voxels (RAS+, 2x2x4 mm).
"""

from __future__ import annotations

import numpy as np

from pirta.cohort.lesions import grow_lesion, insert_lesion, plan_lesion
from pirta.cohort.prepared_store import CaseArrays, PreparedCase, close_run, write_case
from pirta.contracts.case import CaseRecord
from pirta.contracts.finding import Label
from pirta.contracts.study import GRID_SHAPE, GRID_SPACING_MM, Registry

SPLITS = ("train", "val")


def write_synthetic_store(root: str, *, fingerprint: str = "synthetic") -> None:
    """Write the store; the same voxels each time."""
    kinds = [(split, label) for split in SPLITS for label in Label]
    rows = [
        _write_case(root, label, split, seed, fingerprint)
        for seed, (split, label) in enumerate(kinds)
    ]
    close_run(root, rows, [])


def _write_case(root: str, label: Label, split: str, seed: int, fingerprint: str) -> PreparedCase:
    rng = np.random.default_rng(seed)
    x, y, z = np.ix_(*[np.linspace(-1.3, 1.3, side, dtype=np.float32) for side in GRID_SHAPE])
    radius = np.sqrt(x**2 + y**2 + z**2)
    brain_XYZ = radius < 1
    outer = np.where(y < -0.3, 3, 1)
    territory_XYZ = (np.where(radius < 0.45, 2, outer) * brain_XYZ).astype(np.uint8)
    noise = 0.05 * rng.standard_normal((2, *GRID_SHAPE), dtype=np.float32)
    dwi, adc = brain_XYZ * (1 + noise[0]), brain_XYZ * (np.float32(0.85) + noise[1])
    mask_XYZ, finding = None, None
    if label is not Label.NORMAL:
        plan = plan_lesion(rng, label=label)
        share = grow_lesion(rng, plan, territory_XYZ, GRID_SPACING_MM)
        dwi, adc = insert_lesion(dwi, adc, share, plan=plan, b_value_s_mm2=1000.0)
        mask_XYZ, finding = (share > 0.5).astype(np.uint8), plan.finding
    case = CaseRecord(
        case_id=f"{split}-{label}",
        patient_id=f"{split}-{label}",
        site="site-a",
        scanner="scanner-a",
        split=split,
        dwi_uri="dwi.nii.gz",
        adc_uri="adc.nii.gz",
        registry=Registry(),
        finding=finding,
        report_text="known",
    )
    arrays = CaseArrays(np.stack([dwi, adc]), mask_XYZ, territory_XYZ)
    return write_case(root, case, arrays, fingerprint=fingerprint, facts={})
