"""MAE and territory SFT through Ray Train, killed in the middle, resumed, and finished.

Each job runs as people run it, `python -m train_jobs...`, in a process of its own: a driver
can then be killed like one.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from pirta.models.checkpoint import verify_manifest
from pirta.models.runtime import load_encoder

pytestmark = pytest.mark.ray

_WAIT_S = 420.0


def _start(job: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", f"train_jobs.{job}", "--run", "tiny", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
    )


def _finish(process: subprocess.Popen[str]) -> str:
    out, err = process.communicate(timeout=_WAIT_S)
    assert process.returncode == 0, err
    return out


def _steps(run_dir: Path) -> list[int]:
    path = run_dir / "progress.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    return [json.loads(line)["step"] for line in lines]


def _wait_for_checkpoint(run_dir: Path, name: str, process: subprocess.Popen[str]) -> None:
    """Wait until Ray has noted a checkpoint as complete."""
    snapshot = run_dir / name / "checkpoint_manager_snapshot.json"
    deadline = time.monotonic() + _WAIT_S
    while not snapshot.exists():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline, "no checkpoint came"
        time.sleep(0.05)


def _worker_pid(driver_pid: int) -> int | None:
    """The Ray Train worker among the driver's descendants."""
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
    for pid, title in titles.items():
        if "RayTrainWorker" not in title:
            continue
        above = pid
        while above in parents and above != driver_pid:
            above = parents[above]
        if above == driver_pid:
            return pid
    return None


@pytest.mark.timeout(900)
def test_both_jobs_survive_a_kill_and_end_with_a_valid_encoder(
    synthetic_store: str, tmp_path: Path
) -> None:
    mae, territory = tmp_path / "mae", tmp_path / "territory"
    arguments = ["--data", synthetic_store, "--out", str(mae)]

    driver = _start("train_mae", *arguments)
    _wait_for_checkpoint(mae, "mae", driver)
    driver.send_signal(signal.SIGKILL)
    driver.communicate(timeout=60)
    assert not (mae / "weights").exists()
    before = len(_steps(mae))

    said = _finish(_start("train_mae", *arguments))
    assert "mae" in said
    resumed = _steps(mae)[before:]
    assert resumed[-1] == 6
    assert resumed[0] > 2, "it began at step 0 again instead of resuming"
    assert verify_manifest(mae / "weights", kind="mae").metrics["step"] == 6

    arguments = ["--data", synthetic_store, "--out", str(territory), "--mae", str(mae / "weights")]
    driver = _start("train_territory", *arguments)
    _wait_for_checkpoint(territory, "territory", driver)
    worker = _worker_pid(driver.pid)
    assert worker is not None, "the worker ended before it could be killed"
    os.kill(worker, signal.SIGKILL)
    _finish(driver)
    assert _steps(territory)[-1] == 6
    manifest = verify_manifest(territory / "weights", kind="encoder")
    assert manifest.preprocessing_fingerprint == "synthetic"
    assert str(tmp_path) not in manifest.model_dump_json()

    encoder = load_encoder(territory / "weights", device="cpu", num_threads=1)
    embeddings, probabilities = encoder.embed(np.zeros((1, 2, 96, 112, 48), np.float32))
    assert embeddings.shape == (1, 32)
    assert np.isfinite(probabilities).all()

    again = _finish(_start("train_territory", *arguments))
    assert "encoder" in again, "a finished job says so and does nothing"
