"""MAE and territory SFT as people run them: killed in the middle, resumed, with Ray and without.

Each job runs as `python -m train_jobs...`, in a process of its own: a driver can then be killed
like one. A resumed run has to have the very losses of one that nothing disturbed.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import numpy as np
import pytest

from pirta.models.checkpoint import verify_manifest
from pirta.models.runtime import load_encoder
from tests.ray.small_disk import small_disk
from tests.ray.training import (
    finish,
    losses,
    start_job,
    wait_for_checkpoint,
    worker_pids,
)
from train_jobs.checkpoint_store import CheckpointStore

pytestmark = [pytest.mark.ray, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def no_ray(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment in which importing Ray fails, as where it is not installed."""
    folder = tmp_path_factory.mktemp("no-ray")
    (folder / "ray.py").write_text('raise ImportError("Ray is not to be imported here")\n')
    known = os.environ.get("PYTHONPATH", "")
    return {"PYTHONPATH": os.pathsep.join([str(folder), known] if known else [str(folder)])}


@pytest.fixture(scope="module")
def undisturbed(
    synthetic_store: str, tmp_path_factory: pytest.TempPathFactory, no_ray: dict[str, str]
) -> Path:
    """An MAE run without Ray that nothing disturbed."""
    out = tmp_path_factory.mktemp("undisturbed") / "mae"
    said = finish(
        start_job(
            "train_mae", "--data", synthetic_store, "--out", str(out), "--without-ray", **no_ray
        )
    )
    assert "mae, step 6" in said
    assert list(losses(out)) == [1, 2, 3, 4, 5, 6]
    return out


def test_a_driver_that_is_killed_resumes_to_the_losses_of_the_undisturbed_run(
    undisturbed: Path, synthetic_store: str, tmp_path: Path
) -> None:
    mae = tmp_path / "mae"
    arguments = ["--data", synthetic_store, "--out", str(mae)]
    driver = start_job("train_mae", *arguments)
    wait_for_checkpoint(mae, driver)
    driver.send_signal(signal.SIGKILL)
    driver.communicate(timeout=60)
    assert not (mae / "weights").exists()
    before = len((mae / "curve.jsonl").read_text().splitlines())

    assert "mae, step 6" in finish(start_job("train_mae", *arguments))
    steps = [json.loads(line)["step"] for line in (mae / "curve.jsonl").read_text().splitlines()]
    assert steps[before] > 1, "it began at step 0 again instead of resuming"
    one, other = losses(undisturbed), losses(mae)
    assert list(one) == list(other)
    np.testing.assert_allclose(list(one.values()), list(other.values()), rtol=1e-6)
    assert len((mae / "sessions.jsonl").read_text().splitlines()) == 2
    manifest = verify_manifest(mae / "weights", kind="mae")
    assert manifest.metrics["step"] == 6
    assert manifest.files == verify_manifest(undisturbed / "weights", kind="mae").files


def test_a_worker_that_is_killed_is_replaced_and_the_encoder_is_that_of_the_plain_run(
    undisturbed: Path, synthetic_store: str, tmp_path: Path, no_ray: dict[str, str]
) -> None:
    plain, territory = tmp_path / "plain", tmp_path / "territory"
    fixed = ["--data", synthetic_store, "--mae", str(undisturbed / "weights")]
    finish(start_job("train_territory", *fixed, "--out", str(plain), "--without-ray", **no_ray))

    driver = start_job("train_territory", *fixed, "--out", str(territory))
    wait_for_checkpoint(territory, driver)
    workers = worker_pids(driver.pid)
    assert workers, "the worker ended before it could be killed"
    os.kill(workers[0], signal.SIGKILL)
    finish(driver)
    one, other = losses(plain), losses(territory)
    assert list(one) == list(other) == [1, 2, 3, 4, 5, 6]
    np.testing.assert_allclose(list(one.values()), list(other.values()), rtol=1e-6)
    manifest = verify_manifest(territory / "weights", kind="encoder")
    assert manifest.files == verify_manifest(plain / "weights", kind="encoder").files
    assert manifest.preprocessing_fingerprint == "synthetic"
    assert str(tmp_path) not in manifest.model_dump_json()

    encoder = load_encoder(territory / "weights", device="cpu", num_threads=1)
    embeddings, probabilities = encoder.embed(np.zeros((1, 2, 96, 112, 48), np.float32))
    assert embeddings.shape == (1, 32)
    assert np.isfinite(probabilities).all()

    again = finish(start_job("train_territory", *fixed, "--out", str(territory)))
    assert "encoder" in again, "a finished job says so and does nothing"


def test_a_run_without_ray_resumes_from_an_object_store_what_ray_began(
    undisturbed: Path,
    synthetic_store: str,
    tmp_path: Path,
    object_store: str,
    no_ray: dict[str, str],
) -> None:
    mae, address = tmp_path / "mae", f"{object_store}/checkpoints"
    arguments = ["--data", synthetic_store, "--out", str(mae), "--checkpoints", address]
    driver = start_job("train_mae", *arguments)
    store = CheckpointStore(address)
    while store.latest() is None:
        assert driver.poll() is None, driver.communicate()[1]
    driver.send_signal(signal.SIGKILL)
    driver.communicate(timeout=60)
    finish(start_job("train_mae", *arguments, "--without-ray", **no_ray))
    assert not (mae / "checkpoints").exists()
    assert losses(mae) == pytest.approx(losses(undisturbed), rel=1e-6)
    assert [one.step for one in store.complete()] == [4, 6]
    sessions = [json.loads(line) for line in (mae / "sessions.jsonl").read_text().splitlines()]
    assert [session["with_ray"] for session in sessions] == [True, False]


@pytest.mark.parametrize("ray", [False, True])
def test_a_full_disk_ends_the_run_and_the_last_checkpoint_resumes(
    undisturbed: Path, synthetic_store: str, tmp_path: Path, no_ray: dict[str, str], ray: bool
) -> None:
    disk = tmp_path / "disk"
    arguments = ["--data", synthetic_store, "--out", str(tmp_path / "mae")]
    arguments += ["--checkpoints", str(disk / "checkpoints")]
    size = sum(
        path.stat().st_size for path in (undisturbed / "checkpoints/step-00000004").iterdir()
    )
    without = {} if ray else no_ray
    flags = [] if ray else ["--without-ray"]
    with small_disk(disk, str(int(1.5 * size))):
        process = start_job("train_mae", *arguments, *flags, **without)
        _, err = process.communicate(timeout=420)
        assert process.returncode == 2, err
        assert "no space is left" in err
        assert "run the same command" in err or "same command" in err
        assert "Traceback" not in err
        steps = [one.step for one in CheckpointStore(str(disk / "checkpoints")).complete()]
        assert steps == [2]
        subprocess.run(["mount", "-o", "remount,size=64m", str(disk)], check=True)
        finish(start_job("train_mae", *arguments, *flags, **without))
    assert losses(tmp_path / "mae") == pytest.approx(losses(undisturbed), rel=1e-6)


def test_two_workers_of_an_elastic_run_see_the_store_through_ray_data(
    synthetic_store: str, tmp_path: Path
) -> None:
    from train_jobs.presets import mae_tiny
    from train_jobs.train_mae import train_mae

    fixed = {"batch_size": 1, "use_bf16": False}
    elastic = mae_tiny().model_copy(update={**fixed, "num_workers": (1, 2)})
    alone = mae_tiny().model_copy(update={**fixed, "accumulate_steps": 2})
    shown: list[str] = []
    for settings, out, ray in ((elastic, "two", True), (alone, "one", False)):
        train_mae(
            settings,
            store=synthetic_store,
            out=tmp_path / out,
            with_ray=ray,
            show=shown.append,
        )
    assert losses(tmp_path / "two") == pytest.approx(losses(tmp_path / "one"), rel=1e-5)
    assert any("waiting share" in line or "val mae error" in line for line in shown)
