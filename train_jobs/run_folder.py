"""The folder of a run: who owns it, what was started in it, what it learns from, its curves.

run.json         name and settings; a folder holds one run, and others are refused
sessions.jsonl   a line for each start: time, commit, versions, with Ray or without
data.json        what is learnt from: each case's id, site, label and sha256, by split
curves.png       loss, learning rate, held-out figures, waiting share
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from pirta.errors import StoreError, TrainingError
from pirta.models.checkpoint import current_commit
from train_jobs.progress import PROGRESS_NAME
from train_jobs.run_record import read_curve
from train_jobs.training_pool import PoolCase

RUN_NAME = "run.json"
SESSIONS_NAME = "sessions.jsonl"
DATA_NAME = "data.json"
CURVES_NAME = "curves.png"

_NOT_FIGURES = frozenset({"step", "num_steps", "steps_per_s", "remaining_s"})


def claim_run_dir(run_dir: Path, config: Mapping[str, Any], *, name: str, resume: bool) -> None:
    """Make the run's folder and its `run.json`, or check that it holds the same run.

    Raises:
        TrainingError: it holds another run, or this one and `resume` is off.
        StoreError: it cannot be written.
    """
    path = run_dir / RUN_NAME
    content = {"name": name, "config": json.loads(json.dumps(config))}
    if path.is_file():
        known = _read_run(path)
        if known != content:
            raise TrainingError(
                f"{run_dir} holds another run ({_difference(known, content)}).",
                remedy="Name another --out folder, or repeat the command that began this one.",
            )
        if not resume:
            raise TrainingError(
                f"{run_dir} holds this run already.",
                remedy="Allow it to resume, or name another --out folder.",
            )
        return
    with writing(run_dir):
        run_dir.mkdir(parents=True, exist_ok=True)
    write_json(path, content)


def _read_run(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        raise TrainingError(
            f"{path} is no run record: it is cut short or no JSON.",
            remedy="Name another --out folder, or remove this one.",
        ) from None


def note_session(run_dir: Path, *, with_ray: bool) -> None:
    """Add a line that says when, from which commit and with what the run was started."""
    import torch

    line = {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": current_commit(Path(__file__).parent),
        "with_ray": with_ray,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "processor": platform.machine(),
        "num_cpus": os.cpu_count(),
    }
    path = run_dir / SESSIONS_NAME
    with writing(path), path.open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(line) + "\n")


def write_data_manifest(
    run_dir: Path,
    splits: Mapping[str, Iterable[PoolCase]],
    *,
    data_sha256: str,
    fingerprint: str,
) -> None:
    """Write what a run learns from and is held out with; ids are pseudonyms, as in the store."""
    content = {
        "data_sha256": data_sha256,
        "preprocessing_fingerprint": fingerprint,
        "splits": {
            split: [
                {
                    "case_id": case.case_id,
                    "site": case.site,
                    "label": str(case.label),
                    "sha256": hashlib.sha256(
                        np.ascontiguousarray(case.volume_CXYZ).data
                    ).hexdigest(),
                }
                for case in cases
            ]
            for split, cases in splits.items()
        },
    }
    run_dir.mkdir(parents=True, exist_ok=True)
    write_json(run_dir / DATA_NAME, content)


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a file whole or not at all.

    Raises:
        StoreError: it cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with writing(path):
        temporary.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
        temporary.replace(path)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Tell a folder or file of a run that cannot be written as what it is.

    Raises:
        StoreError: in the place of an OSError.
    """
    try:
        yield
    except OSError as error:
        raise StoreError(
            f"The run's {path.name} cannot be written ({error.strerror}).",
            remedy="Make room, or make the folder writable again, and run the same command.",
        ) from None


def draw_curves(run_dir: Path) -> Path | None:
    """Draw the run's curves so far as a picture, None where it has taken no step."""
    from matplotlib.figure import Figure

    curve = list(read_curve(run_dir).values())
    if not curve:
        return None
    held_out = _held_out(run_dir)
    figure = Figure(figsize=(10, 7), layout="constrained")
    (losses, figures), (rates, waits) = figure.subplots(2, 2, sharex=True)
    steps = [line["step"] for line in curve]
    for name in curve[-1]:
        if name not in {"step", "learning_rate", "step_s", "waiting_share"}:
            values = [line.get(name, np.nan) for line in curve]
            losses.plot(steps, values, linewidth=0.4, alpha=0.35)
            losses.plot(steps, _smooth(values), color=losses.lines[-1].get_color(), label=name)
    for name in sorted({name for line in held_out for name in line} - _NOT_FIGURES):
        points = [(line["step"], line[name]) for line in held_out if name in line]
        figures.plot(*zip(*points, strict=True), marker="o", markersize=3, label=name)
    rates.plot(steps, [line["learning_rate"] for line in curve])
    waits.plot(steps, _smooth([100 * line["waiting_share"] for line in curve]))
    for axes, title in (
        (losses, "training"),
        (figures, "held-out cases"),
        (rates, "learning rate"),
        (waits, "time waiting for data, % of a step"),
    ):
        axes.set_title(title)
        axes.grid(alpha=0.3)
        if axes.get_legend_handles_labels()[0]:
            axes.legend(fontsize="small")
    rates.set_xlabel("step")
    waits.set_xlabel("step")
    waits.axhline(5, color="gray", linestyle=":")
    waits.set_ylim(bottom=0)
    with writing(run_dir / CURVES_NAME):
        figure.savefig(run_dir / CURVES_NAME, dpi=110)
    return run_dir / CURVES_NAME


def _held_out(run_dir: Path) -> list[dict[str, float]]:
    path = run_dir / PROGRESS_NAME
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    by_step: dict[int, dict[str, float]] = {}
    for line in lines:
        try:
            content = json.loads(line)
        except ValueError:
            continue  # a kill in the middle of a line
        if any(name.startswith("val_") for name in content):
            by_step[int(content["step"])] = content
    return [by_step[step] for step in sorted(by_step)]


def _smooth(values: list[float]) -> np.ndarray[Any, Any]:
    width = max(1, min(25, len(values) // 10))
    padded = np.pad(np.asarray(values, float), (width // 2, (width - 1) // 2), mode="edge")
    return np.convolve(padded, np.ones(width) / width, mode="valid")


def _difference(known: Mapping[str, Any], asked: Mapping[str, Any]) -> str:
    if known.get("name") != asked["name"]:
        return f"'{known.get('name')}', asked for '{asked['name']}'"
    before, now = known.get("config", {}), asked["config"]
    fields = sorted(key for key in {*before, *now} if before.get(key) != now.get(key))
    inner_before, inner_now = before.get("settings", {}), now.get("settings", {})
    if fields == ["settings"]:
        fields = sorted(
            key
            for key in {*inner_before, *inner_now}
            if inner_before.get(key) != inner_now.get(key)
        )
    return f"other settings: {', '.join(fields)}"
