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

from bench.result import Ratio
from bench.synthetic_store import write_synthetic_store
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
        store = str(folder / "store")
        write_synthetic_store(store)
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
