"""Preprocessing over an archive with one worker and with two: wall time, CPU seconds, efficiency.

The studies are phantoms with skull at their scanner's size, so that deepbet runs; they are made
once, before the clock starts. Start-up (Ray, and each worker's imports and weights) is told
apart: it is paid once a run and not once a study. What one study costs against a plain pipeline
is another bench's matter.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq

from bench.process_tree import watched_tree
from bench.result import Ratio
from pirta.cohort.make import make_cohort
from pirta.cohort.presets import CaseBatch, CohortPlan, each_label
from pirta.cohort.scanner import ward_scanner
from pirta.pipelines.preprocess import Progress, preprocess_cohort
from pirta.settings import Settings

NUM_STUDIES = 24
WORK = Path("bench-out") / "preprocess_scaling"
QUESTION = f"Preprocess an archive of {NUM_STUDIES} studies with skull"


@dataclass(frozen=True)
class Measured:
    """One run.

    Attributes:
        steady_s: from the first study's begin to the end.
        busy_share: of the workers' steady time that lies inside studies. Other load on the
            machine stretches both alike, so this tells what the job itself wastes.
    """

    wall_s: float
    steady_s: float
    cpu_s: float
    studies_cpu_s: float
    busy_share: float


def run() -> Iterator[Ratio]:
    """Measure one worker against two, on the same studies."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"):
        os.environ[name] = "1"
    plan = CohortPlan(
        "scaling", 77, (CaseBatch(ward_scanner(), "index", each_label(NUM_STUDIES // 4)),)
    )
    table = make_cohort(plan, WORK / "cohort", num_workers=2)
    one, two = (measure(table, num_workers) for num_workers in (1, 2))
    yield _speed_up("wall time with start-up", one.wall_s, two.wall_s, "")
    note = (
        f"start-up {two.wall_s - two.steady_s:.1f} and {one.wall_s - one.steady_s:.1f} s; workers "
        f"inside a study {two.busy_share:.0%} and {one.busy_share:.0%} of the time"
    )
    yield _speed_up("wall time without start-up", one.steady_s, two.steady_s, note)
    yield Ratio(
        f"{QUESTION}: CPU a study, all processes",
        "2 workers", two.cpu_s / NUM_STUDIES, "1 worker", one.cpu_s / NUM_STUDIES, "s",
        one.cpu_s / two.cpu_s,
        f"the studies themselves {two.studies_cpu_s / NUM_STUDIES:.2f} and "
        f"{one.studies_cpu_s / NUM_STUDIES:.2f} s",
    )  # fmt: skip


def _speed_up(what: str, one_s: float, two_s: float, note: str) -> Ratio:
    efficiency = f"efficiency {one_s / (2 * two_s):.2f}"
    return Ratio(
        f"{QUESTION}: {what}", "2 workers", two_s, "1 worker", one_s, "s", one_s / two_s,
        "; ".join(part for part in (efficiency, note) if part),
    )  # fmt: skip


def measure(table: str, num_workers: int) -> Measured:
    """Run the job into an empty store."""
    out = WORK / f"prepared-{num_workers}"
    shutil.rmtree(out, ignore_errors=True)
    done_at: list[float] = []

    def note(progress: Progress) -> None:
        if progress.num_done + progress.num_refused:
            done_at.append(time.perf_counter())

    started = time.perf_counter()
    with watched_tree() as use:
        preprocess_cohort(
            table, str(out), settings=Settings(), num_workers=num_workers, on_progress=note
        )
    wall_s = time.perf_counter() - started
    rows = pq.read_table(out / "studies.parquet", columns=["seconds", "cpu_seconds"]).to_pylist()
    assert len(rows) == NUM_STUDIES, "a phantom was refused"
    seconds = sorted(row["seconds"] for row in rows)
    steady_s = done_at[-1] - done_at[0] + seconds[len(rows) // 2]
    return Measured(
        wall_s=wall_s,
        steady_s=steady_s,
        cpu_s=use.total_cpu_s,
        studies_cpu_s=sum(row["cpu_seconds"] for row in rows),
        busy_share=min(1.0, sum(seconds) / (steady_s * num_workers)),
    )
