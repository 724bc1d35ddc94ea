"""Small archives for the tests of the preprocessing job: toy studies, and what a store holds.

Axis suffixes: X Y Z voxels (RAS+).
"""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from pirta.cohort.prepared_store import load_volume, read_prepared
from pirta.cohort.table import write_cohort
from pirta.contracts.case import CaseRecord
from pirta.contracts.study import Registry
from pirta.settings import PreprocessingSettings

QUICK = PreprocessingSettings(n4_iterations=(5,))


def write_study(folder: Path, seed: int, stem: str = "") -> None:
    """Write a stripped toy brain as `<stem>dwi.nii.gz` and `<stem>adc.nii.gz`."""
    rng = np.random.default_rng(seed)
    affine = np.diag([4.0, 4.0, 4.0, 1.0])
    x, y, z = np.ix_(*[np.arange(side) - (side - 1) / 2 for side in (48, 56, 40)])
    distance_XYZ = (x / 17) ** 2 + (y / 21) ** 2 + (z / 14) ** 2
    folder.mkdir(parents=True, exist_ok=True)
    for kind, tissue, fluid in (("dwi", 300, 70), ("adc", 800, 3000)):
        texture_XYZ = rng.uniform(0.95, 1.05, distance_XYZ.shape)
        values_XYZ = np.where(distance_XYZ < 0.15, fluid, tissue) * texture_XYZ
        data_XYZ = np.where(distance_XYZ < 1, values_XYZ, 0).astype(np.float32)
        nib.save(nib.Nifti1Image(data_XYZ, affine), folder / f"{stem}{kind}.nii.gz")


def record(case_id: str, **fields: object) -> CaseRecord:
    """Return a case whose images are named by its id."""
    uris = {} if "study_uri" in fields else _pair(case_id)
    return CaseRecord.model_validate(
        {
            "case_id": case_id,
            "patient_id": f"patient-{case_id}",
            "site": "north",
            "scanner": "a",
            "registry": Registry(),
            **uris,
            **fields,
        }
    )


def write_archive(folder: Path, num_studies: int) -> Path:
    """Write studies, one that cannot be read among them, and return their table."""
    cases = [record(f"case-{number:02d}") for number in range(num_studies)]
    for seed, case in enumerate(cases):
        write_study(folder, seed, stem=f"{case.case_id}_")
    (folder / "bad_dwi.nii.gz").write_text("no image")
    (folder / "bad_adc.nii.gz").write_text("no image")
    cases.insert(num_studies // 2, record("bad"))
    write_cohort(str(folder / "cohort.parquet"), cases)
    return folder / "cohort.parquet"


def stored_arrays(store: str) -> dict[str, NDArray[np.float32]]:
    """Return every study of a finished store, and check that each is there once."""
    cases = read_prepared(store)
    ids = [one.case.case_id for one in cases]
    assert len(set(ids)) == len(ids)
    return {one.case.case_id: load_volume(one.array_uri) for one in cases}


def assert_same_stores(first: str, second: str) -> None:
    """Compare two stores, study by study and voxel by voxel."""
    ours, theirs = stored_arrays(first), stored_arrays(second)
    assert list(ours) == list(theirs)
    for case_id, volume_CXYZ in ours.items():
        np.testing.assert_array_equal(volume_CXYZ, theirs[case_id])


def _pair(case_id: str) -> dict[str, str]:
    return {f"{kind}_uri": f"{case_id}_{kind}.nii.gz" for kind in ("dwi", "adc")}
