"""What the tests of training share: jobs as processes, groups of workers without Ray, curves.

A driver can be killed like one only where it is a process of its own. `run_group` starts workers
that talk over gloo, as two machines would.
"""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import distributed

from train_jobs.case_source import RememberedCases
from train_jobs.checkpoint_store import CheckpointStore
from train_jobs.loop import run_loop
from train_jobs.presets import MaeRun
from train_jobs.run_record import read_curve
from train_jobs.tasks import MaeTask
from train_jobs.worker import PlainWorker

WAIT_S = 420.0


def start_job(job: str, *arguments: str, **environment: str) -> subprocess.Popen[str]:
    """Start `python -m train_jobs.JOB --run tiny ARGUMENTS`."""
    return subprocess.Popen(
        [sys.executable, "-m", f"train_jobs.{job}", "--run", "tiny", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "HF_HUB_OFFLINE": "1", **environment},
    )


def finish(process: subprocess.Popen[str]) -> str:
    """Wait for a job that has to end well, and return what it said."""
    out, err = process.communicate(timeout=WAIT_S)
    assert process.returncode == 0, err
    return out


def wait_for_checkpoint(run_dir: Path, process: subprocess.Popen[str]) -> None:
    """Wait until a first checkpoint is complete."""
    store = CheckpointStore(str(run_dir / "checkpoints"))
    deadline = time.monotonic() + WAIT_S
    while store.latest() is None:
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline, "no checkpoint came"
        time.sleep(0.02)


def losses(run_dir: Path) -> dict[int, float]:
    """Return each step's loss."""
    return {step: line["loss"] for step, line in read_curve(run_dir).items()}


def worker_pids(driver_pid: int) -> list[int]:
    """Return the Ray Train workers among a driver's descendants."""
    parents: dict[int, int] = {}
    titles: dict[int, str] = {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            stat = (folder / "stat").read_text()
            titles[int(folder.name)] = (folder / "cmdline").read_bytes().decode(errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            continue
        parents[int(folder.name)] = int(stat.rsplit(")", 1)[1].split()[1])

    def below(pid: int) -> bool:
        while pid in parents and pid != driver_pid:
            pid = parents[pid]
        return pid == driver_pid

    return [pid for pid, title in titles.items() if "RayTrainWorker" in title and below(pid)]


def run_group(
    settings: MaeRun, store: str, run_dir: Path, *, world: int, stop_after: int | None = None
) -> None:
    """Train with so many processes; `stop_after` ends them all once that step is stored."""
    run_dir.mkdir(exist_ok=True)
    meeting = run_dir / f"meeting-{time.monotonic_ns()}"
    context = multiprocessing.get_context("spawn")
    members = [
        context.Process(
            target=_member,
            args=(settings, store, run_dir, meeting, rank, world, stop_after),
        )
        for rank in range(world)
    ]
    for member in members:
        member.start()
    for member in members:
        member.join(WAIT_S)
    assert [member.exitcode for member in members] == [0] * world


class _StoppingWorker(PlainWorker):
    """Ends the loop right after a step's checkpoint is stored."""

    stop_after: int | None = None

    def report(self, step: int, figures: Mapping[str, float], folder: Path | None) -> None:
        super().report(step, figures, folder)
        if step == self.stop_after:
            self.__exit__(None)
            distributed.barrier()
            os._exit(0)


def _member(
    settings: MaeRun,
    store: str,
    run_dir: Path,
    meeting: Path,
    rank: int,
    world: int,
    stop_after: int | None,
) -> None:
    distributed.init_process_group(
        "gloo", init_method=f"file://{meeting}", rank=rank, world_size=world
    )
    cases = RememberedCases()
    worker = _StoppingWorker(
        CheckpointStore(str(run_dir / "checkpoints")),
        cases,
        device=torch.device("cpu"),
        rank=rank,
        world=world,
    )
    worker.stop_after = stop_after
    with worker:
        run_loop(MaeTask(settings, store, load=cases), settings, worker, run_dir=run_dir)
    distributed.destroy_process_group()
