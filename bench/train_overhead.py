"""Ray Train against the plain loop, and two of its workers against one: the demo encoder's MAE.

The same steps on the same examples; the store is made on the spot. A step's seconds are the
median after the first few, so that start-up is told apart from what it costs to go on. Two
workers share the machine's cores with their loaders: the ratio says what a second worker brings
here, not what it brings on a machine of its own.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from bench.result import Ratio
from pirta.cohort.lesions import grow_lesion, insert_lesion, plan_lesion
from pirta.cohort.prepared_store import CaseArrays, PreparedCase, close_run, write_case
from pirta.contracts.case import CaseRecord
from pirta.contracts.finding import Label
from pirta.contracts.study import GRID_SHAPE, GRID_SPACING_MM, Registry
from train_jobs.presets import MaeRun, mae_demo
from train_jobs.run_record import read_curve
from train_jobs.train_mae import train_mae

NUM_STEPS = 30
BATCH = 8
_WARM_STEPS = 8


def run() -> Iterator[Ratio]:
    """Measure one worker with and without Ray, then two."""
    with tempfile.TemporaryDirectory(prefix="pirta-bench-") as name:
        folder = Path(name)
        store = _make_store(folder / "store")
        one = _settings(num_workers=1, accumulate_steps=2)
        two = _settings(num_workers=2, accumulate_steps=1)
        # In turns, the shortest of two: load of other processes only ever adds.
        plain, ray = (
            [
                _measure(one, store, folder / f"{kind}-{turn}", with_ray=kind == "ray")
                for turn in (1, 2)
            ]
            for kind in ("plain", "ray")
        )
        plain_s, ray_s = min(step for step, _ in plain), min(step for step, _ in ray)
        plain_whole_s, ray_whole_s = min(whole for _, whole in plain), min(w for _, w in ray)
        yield Ratio(
            f"training step of {2 * BATCH} volumes, one worker",
            "Ray Train", ray_s, "plain loop", plain_s, "s", plain_s / ray_s,
            f"overhead {ray_s / plain_s - 1:+.1%} a step; start and end, "
            f"{ray_whole_s - NUM_STEPS * ray_s:.0f} s against "
            f"{plain_whole_s - NUM_STEPS * plain_s:.0f} s, are apart",
        )  # fmt: skip
        two_s, _ = _measure(two, store, folder / "two", with_ray=True)
        yield Ratio(
            "Ray Train, two workers against one, on this machine's cores",
            "two workers", 2 * BATCH / two_s, "one worker", 2 * BATCH / ray_s, "volumes/s",
            ray_s / two_s, "one torch thread and one loader process each",
        )  # fmt: skip


def _settings(*, num_workers: int, accumulate_steps: int) -> MaeRun:
    return mae_demo().model_copy(
        update={
            "num_steps": NUM_STEPS,
            "batch_size": BATCH,
            "num_workers": num_workers,
            "accumulate_steps": accumulate_steps,
            "save_every_steps": NUM_STEPS,
        }
    )


def _measure(settings: MaeRun, store: str, out: Path, *, with_ray: bool) -> tuple[float, float]:
    """Return a steady step's seconds, and those of the whole run."""
    started = time.perf_counter()
    train_mae(settings, store=store, out=out, with_ray=with_ray, show=lambda _: None)
    whole_s = time.perf_counter() - started
    steady = [line["step_s"] for step, line in read_curve(out).items() if step > _WARM_STEPS]
    return statistics.median(steady), whole_s


def _make_store(folder: Path) -> str:
    """Write ellipsoid brains: what they look like does not change how long a step takes."""
    root = str(folder)
    x, y, z = np.ix_(*[np.linspace(-1.3, 1.3, side, dtype=np.float32) for side in GRID_SHAPE])
    radius = np.sqrt(x**2 + y**2 + z**2)
    territory = (np.where(radius < 0.45, 2, np.where(y < -0.3, 3, 1)) * (radius < 1)).astype(
        np.uint8
    )
    rows = [
        _write_case(root, seed, label, territory) for seed, label in enumerate([*Label, *Label])
    ]
    close_run(root, rows, [])
    return root


def _write_case(root: str, seed: int, label: Label, territory: np.ndarray) -> PreparedCase:
    rng = np.random.default_rng(seed)
    noise = 0.05 * rng.standard_normal((2, *GRID_SHAPE), dtype=np.float32)
    dwi, adc = (territory > 0) * (1 + noise[0]), (territory > 0) * (np.float32(0.85) + noise[1])
    mask, finding = None, None
    if label is not Label.NORMAL:
        plan = plan_lesion(rng, label=label)
        share = grow_lesion(rng, plan, territory, GRID_SPACING_MM)
        dwi, adc = insert_lesion(dwi, adc, share, plan=plan, b_value_s_mm2=1000.0)
        mask, finding = (share > 0.5).astype(np.uint8), plan.finding
    case = CaseRecord(
        case_id=f"case-{seed}",
        patient_id=f"case-{seed}",
        site="bench",
        scanner="bench",
        split="train",
        dwi_uri="dwi.nii.gz",
        adc_uri="adc.nii.gz",
        registry=Registry(),
        finding=finding,
        report_text="known",
    )
    arrays = CaseArrays(np.stack([dwi, adc]), mask, territory)
    return write_case(root, case, arrays, fingerprint="bench", facts={})
