"""Memory of preprocessing over an archive: 50 studies against 500, driver and workers apart.

The studies are stripped toys on a coarse grid, all the same two files, so that 500 take minutes;
what a real study needs at its peak is `archive.worker_memory_mb`'s matter.

Axis suffixes: X Y Z voxels.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import nibabel as nib
import numpy as np

from bench.process_tree import TreeUse, watched_tree
from bench.result import Ratio
from pirta.cohort.table import write_cohort
from pirta.contracts.case import CaseRecord
from pirta.contracts.study import Registry
from pirta.pipelines.preprocess import preprocess_cohort
from pirta.settings import ArchiveSettings, PreprocessingSettings, Settings

FEW, MANY = 50, 500
SHARD_STUDIES = 50
WORK = Path("bench-out") / "preprocess_memory"


def run() -> Iterator[Ratio]:
    """Measure the peak resident memory over few and over many studies."""
    os.environ["OMP_NUM_THREADS"] = "1"
    shutil.rmtree(WORK, ignore_errors=True)
    few, many = (measure(number) for number in (FEW, MANY))
    for role in ("driver", "worker"):
        yield Ratio(
            f"Preprocess an archive: peak memory of the {role}",
            f"{MANY} studies", many.peak_mb[role], f"{FEW} studies", few.peak_mb[role], "MB",
            few.peak_mb[role] / many.peak_mb[role],
            f"flat is 1; shards of {SHARD_STUDIES}, 2 workers; all processes together "
            f"{many.peak_sum_mb:.0f} and {few.peak_sum_mb:.0f} MB",
        )  # fmt: skip


def measure(num_studies: int) -> TreeUse:
    """Run the job over so many toys into an empty store."""
    folder = WORK / str(num_studies)
    table = _make_archive(folder, num_studies)
    settings = Settings(
        preprocessing=PreprocessingSettings(n4_iterations=(5,)),
        archive=ArchiveSettings(shard_studies=SHARD_STUDIES),
    )
    with watched_tree() as use:
        summary = preprocess_cohort(
            table,
            str(folder / "prepared"),
            settings=settings,
            num_workers=2,
            on_progress=lambda _: None,
        )
    assert summary.num_done == num_studies, "a toy was refused"
    shutil.rmtree(folder / "prepared")
    return use


def _make_archive(folder: Path, num_studies: int) -> str:
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    x, y, z = np.ix_(*[np.arange(side) - (side - 1) / 2 for side in (48, 56, 40)])
    distance_XYZ = (x / 17) ** 2 + (y / 21) ** 2 + (z / 14) ** 2
    for kind, tissue, fluid in (("dwi", 300, 70), ("adc", 800, 3000)):
        values_XYZ = np.where(distance_XYZ < 0.15, fluid, tissue) * rng.uniform(
            0.95, 1.05, distance_XYZ.shape
        )
        data_XYZ = np.where(distance_XYZ < 1, values_XYZ, 0).astype(np.float32)
        nib.save(nib.Nifti1Image(data_XYZ, np.diag([4, 4, 4, 1])), folder / f"{kind}.nii.gz")
    cases = [
        CaseRecord(
            case_id=f"toy-{number:04d}",
            patient_id=f"toy-{number:04d}",
            site="site-a",
            scanner="toy",
            dwi_uri="dwi.nii.gz",
            adc_uri="adc.nii.gz",
            registry=Registry(),
        )
        for number in range(num_studies)
    ]
    write_cohort(str(folder / "cohort.parquet"), cases)
    return str(folder / "cohort.parquet")
