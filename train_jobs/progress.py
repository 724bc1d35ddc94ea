"""A training run's progress: one JSON line each time, written by rank 0, shown by the driver.

The file lies beside the run, so that it survives a kill, goes on after a resume, and can be
plotted. The worker and the driver may be on different machines as long as they share the
run's folder, which checkpoints need anyhow. Numbers only: nothing of a patient.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

PROGRESS_NAME = "progress.jsonl"


class ProgressWriter:
    """Appends lines from the training loop (rank 0 only).

    The remaining time comes from this process's own rate, so that a resume does not skew it.
    """

    def __init__(self, run_dir: Path, *, num_steps: int, first_step: int = 0) -> None:
        self._path = run_dir / PROGRESS_NAME
        mend(self._path)
        self._num_steps = num_steps
        self._first_step = first_step
        self._started = time.monotonic()

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Append one line: `step` steps are done, with these values (loss, accuracy, ...)."""
        elapsed_s = time.monotonic() - self._started
        done = step - self._first_step
        rate = done / elapsed_s if elapsed_s > 0 else 0.0
        line = {
            "step": step,
            "num_steps": self._num_steps,
            "steps_per_s": round(rate, 4),
            "remaining_s": round((self._num_steps - step) / rate, 1) if rate > 0 else None,
            **{name: round(float(value), 5) for name, value in values.items()},
        }
        with self._path.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(line) + "\n")


def mend(path: Path) -> None:
    """End a last line that a kill cut short, so that the next one stands alone."""
    if not path.exists() or path.stat().st_size == 0:
        return
    with path.open("rb+") as stream:
        stream.seek(-1, 2)
        if stream.read(1) != b"\n":
            stream.write(b"\n")


def describe(line: Mapping[str, float | None]) -> str:
    """Return a progress line for people: step, values, rate, time left.

    >>> describe({"step": 5, "num_steps": 10, "steps_per_s": 2.0, "remaining_s": 2.5, "loss": 0.5})
    'step 5/10 · loss 0.5 · 2.0 steps/s · 2 s left'
    """
    values = [
        f"{name.replace('_', ' ')} {value:.4g}"
        for name, value in line.items()
        if name not in {"step", "num_steps", "steps_per_s", "remaining_s"} and value is not None
    ]
    parts = [f"step {line['step']}/{line['num_steps']}", *values]
    rate = line.get("steps_per_s")
    if rate:
        parts.append(f"{rate:.2g} steps/s" if rate < 1 else f"{rate:.1f} steps/s")
    remaining_s = line.get("remaining_s")
    if remaining_s:
        parts.append(
            f"{remaining_s / 60:.0f} min left" if remaining_s > 90 else f"{remaining_s:.0f} s left"
        )
    return " · ".join(parts)


class ProgressFollower:
    """Shows lines as they come, from a thread of the driver; a context manager."""

    def __init__(self, run_dir: Path, show: Callable[[str], None], *, every_s: float = 0.5) -> None:
        self._path = run_dir / PROGRESS_NAME
        self._show = show
        self._every_s = every_s
        self._offset = self._path.stat().st_size if self._path.exists() else 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="progress", daemon=True)

    def __enter__(self) -> ProgressFollower:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join(timeout=10)

    def _follow(self) -> None:
        while not self._ended.wait(self._every_s):
            self._show_new()
        self._show_new()

    def _show_new(self) -> None:
        if not self._path.exists():
            return
        with self._path.open("rb") as stream:
            stream.seek(self._offset)
            chunk = stream.read()
        complete = chunk.rfind(b"\n") + 1
        self._offset += complete
        for line in chunk[:complete].decode().splitlines():
            if line.endswith("}"):  # else cut short by a kill, and ended by the next session
                self._show(describe(json.loads(line)))


def show_on_stderr(line: str) -> None:
    """Write a line of progress for people."""
    sys.stderr.write(line + "\n")
    sys.stderr.flush()
