"""What a run leaves behind while it goes: each step's figures, progress, TensorBoard, a summary.

    curve.jsonl       a line a step: loss, rate, seconds, share of them spent waiting for data
    progress.jsonl    a line now and then, smoothed, and the held-out figures at each checkpoint
    tensorboard/      the same for `tensorboard --logdir`
    summary.json      the last session: steps, seconds, examples a second, waiting share

Rank 0 alone writes. After a kill some steps come twice: the later line counts.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from train_jobs.presets import LoopSettings
from train_jobs.progress import ProgressWriter, mend

CURVE_NAME = "curve.jsonl"
SUMMARY_NAME = "summary.json"
TENSORBOARD_FOLDER = "tensorboard"

_PROGRESS_EVERY_STEPS = 10
_SMOOTHING = 0.9
# The first steps wait for the loaders to fill, and for the threads to warm up.
_START_STEPS = 5


class RunRecord:
    """Writes the files of a session that begins after `first_step` steps."""

    def __init__(self, run_dir: Path, settings: LoopSettings, *, first_step: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self.smoothed: dict[str, float] = {}
        self._run_dir = run_dir
        self._settings = settings
        self._first_step = first_step
        self._started = time.monotonic()
        self._steady_s = self._steady_waited_s = 0.0
        self._steady_steps = 0
        self._last_step = first_step
        mend(run_dir / CURVE_NAME)
        self._progress = ProgressWriter(
            run_dir, num_steps=settings.num_steps, first_step=first_step
        )
        self._events: Any = SummaryWriter(str(run_dir / TENSORBOARD_FOLDER), purge_step=first_step)

    def add(
        self,
        step: int,
        figures: Mapping[str, float],
        *,
        learning_rate: float,
        step_s: float,
        waiting_share: float,
    ) -> None:
        """Note that `step` steps are done."""
        line = {
            "step": step,
            **figures,
            "learning_rate": learning_rate,
            "step_s": round(step_s, 5),
            "waiting_share": round(waiting_share, 5),
        }
        _append(self._run_dir / CURVE_NAME, line)
        self._last_step = step
        if step - self._first_step > _START_STEPS:
            self._steady_steps += 1
            self._steady_s += step_s
            self._steady_waited_s += step_s * waiting_share
        for name, value in {**figures, "waiting_share": waiting_share}.items():
            before = self.smoothed.get(name, value)
            self.smoothed[name] = _SMOOTHING * before + (1 - _SMOOTHING) * value
        if step % _PROGRESS_EVERY_STEPS == 0:
            self._progress.write(step, self.smoothed)
        for name in (*figures, "learning_rate", "step_s", "waiting_share"):
            self._events.add_scalar(f"train/{name}", line[name], step)

    def held_out(self, step: int, figures: Mapping[str, float]) -> None:
        """Note figures on held-out cases."""
        for name, value in figures.items():
            self._events.add_scalar(f"held_out/{name}", value, step)
        if figures:
            self._progress.write(step, figures)
        self._events.flush()

    def close(self) -> None:
        """Write the summary."""
        seconds = time.monotonic() - self._started
        steady_s = self._steady_s
        summary = {
            "first_step": self._first_step,
            "last_step": self._last_step,
            "seconds": round(seconds, 2),
            "effective_batch": self._settings.effective_batch,
            "steady_steps": self._steady_steps,
            "steady_step_s": round(steady_s / self._steady_steps, 5) if steady_s else None,
            "examples_per_s": (
                round(self._settings.effective_batch * self._steady_steps / steady_s, 3)
                if steady_s
                else None
            ),
            "waiting_share": round(self._steady_waited_s / steady_s, 5) if steady_s else None,
        }
        (self._run_dir / SUMMARY_NAME).write_text(
            json.dumps(summary, indent=2) + "\n", encoding="utf-8"
        )
        self._events.close()


def read_curve(run_dir: Path) -> dict[int, dict[str, float]]:
    """Return each step's figures by its number; of a step that came twice, the later line."""
    path = run_dir / CURVE_NAME
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    found: dict[int, dict[str, float]] = {}
    for line in lines:
        try:
            content = json.loads(line)
        except ValueError:
            continue  # a kill in the middle of a line
        found[int(content["step"])] = content
    return dict(sorted(found.items()))


def _append(path: Path, line: Mapping[str, float]) -> None:
    with path.open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(line) + "\n")
