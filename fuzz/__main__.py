"""`python -m fuzz [--count 2000] [--seed 0] [--only INDEX ...]`: run, show counts and faults.

The exit code is 1 where there is a fault; each is printed with what repeats it.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from fuzz.pool import Outcome, WorkerProcess, worker_command
from fuzz.table import table

REAL = Path(__file__).resolve().parents[1] / ".." / "shared" / "data"
PROGRESS_S = 5.0


def main(arguments: Sequence[str]) -> int:
    """Run the cases asked for; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__)
    parser.add_argument("--count", type=int, default=2000, help="cases, from 0 on")
    parser.add_argument("--seed", type=int, default=0, help="another seed, other cases")
    parser.add_argument("--only", type=int, nargs="+", metavar="INDEX", help="repeat these cases")
    parser.add_argument("--no-real", action="store_true", help="leave shared/data aside")
    asked = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    real = REAL.resolve() if REAL.is_dir() and not asked.no_real else None
    indices = asked.only or range(asked.count)
    outcomes: list[Outcome] = []
    started = shown = time.monotonic()
    with WorkerProcess(worker_command(asked.seed, real)) as worker:
        for one in worker.run(indices):
            outcomes.append(one)
            if one.outcome == "fault" or asked.only:
                sys.stdout.write(describe(one, asked.seed) + "\n")
            if time.monotonic() - shown > PROGRESS_S:
                shown = time.monotonic()
                sys.stderr.write(_progress(outcomes, len(indices), shown - started) + "\n")
    sys.stdout.write(table(outcomes) + "\n" + _summary(outcomes, time.monotonic() - started))
    return 1 if any(one.outcome == "fault" for one in outcomes) else 0


def describe(one: Outcome, seed: int) -> str:
    """Return a case in a few lines, with what repeats it."""
    return (
        f"{one.outcome} [{one.seed} / {one.mutator}] {one.detail}\n"
        f"    {'; '.join(one.notes)} ({one.read_s:.2f} s, {one.peak_bytes / 2**20:.0f} MB)\n"
        f"    repeat: python -m fuzz --seed {seed} --only {one.index}"
    )


def _progress(outcomes: Sequence[Outcome], total: int, after_s: float) -> str:
    num_faults = sum(one.outcome == "fault" for one in outcomes)
    left_s = after_s / len(outcomes) * (total - len(outcomes))
    return (
        f"fuzz: {len(outcomes)} of {total} cases, {len(outcomes) / after_s:.0f} a second, "
        f"{left_s:.0f} s left, {num_faults} faults"
    )


def _summary(outcomes: Sequence[Outcome], after_s: float) -> str:
    slowest = max(outcomes, key=lambda one: one.read_s)
    largest = max(outcomes, key=lambda one: one.peak_bytes)
    return (
        f"{len(outcomes)} cases in {after_s:.0f} s. Slowest read {slowest.read_s:.2f} s (case "
        f"{slowest.index}), most memory {largest.peak_bytes / 2**20:.0f} MB above the start (case "
        f"{largest.index}). {sum(one.printed for one in outcomes)} cases printed something.\n"
    )


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
