"""Processes that are killed: what was done stays, each study is there once, the rest goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import ray

from pirta.cohort.prepared_store import read_prepared, read_refused
from pirta.cohort.table import write_cohort
from pirta.imaging.strip import make_stripper
from pirta.imaging.volume import Volume
from pirta.pipelines.local_ray import start_local_ray
from pirta.pipelines.preprocess import PreprocessSummary, Progress, preprocess_cohort
from pirta.settings import PreprocessingSettings, Settings
from tests.ray.archive import assert_same_stores, record, stored_arrays, write_study

pytestmark = [
    pytest.mark.ray,
    # Ray 2.60's DataContext warns of its own defaults whenever it is made.
    pytest.mark.filterwarnings("ignore::DeprecationWarning:ray.data"),
]

NUM_STUDIES = 10


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[None]:
    start_local_ray(4)
    yield
    ray.shutdown()


@pytest.fixture(scope="module")
def undisturbed(
    toy_archive: Path, quick_settings: Settings, tmp_path_factory: pytest.TempPathFactory
) -> str:
    out = str(tmp_path_factory.mktemp("undisturbed"))
    _run(toy_archive, out, quick_settings)
    return out


def _run(
    table: Path, out: str, settings: Settings, seen: list[Progress] | None = None
) -> PreprocessSummary:
    on_progress = (lambda _: None) if seen is None else seen.append
    return preprocess_cohort(
        str(table), out, settings=settings, num_workers=2, on_progress=on_progress
    )


def _committed(out: Path) -> int:
    """Count the studies that are done, in closed shards and in open ones."""
    rows = {path.stem for path in out.glob("shards/*/rows/*.json")}
    return len(rows | {path.stem for path in out.glob("shards/*/arrays/*.npy")})


def _wait(condition: Callable[[], bool], *, timeout_s: float = 180.0) -> None:
    ends = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < ends, "the moment to kill never came"
        time.sleep(0.01)


@pytest.mark.parametrize("num_done", [1, 5, NUM_STUDIES])
def test_a_killed_driver_loses_nothing_that_was_done(
    num_done: int, toy_archive: Path, undisturbed: str, quick_settings: Settings, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    driver = _start_command_line(toy_archive, out, quick_settings, tmp_path)
    try:
        _wait(lambda: _committed(out) >= num_done or driver.poll() is not None)
    finally:
        driver.send_signal(signal.SIGKILL)
        driver.wait()
    assert driver.returncode == -signal.SIGKILL, "it ended before it could be killed"
    assert not (out / "studies.parquet").exists()
    before = {path.stem for path in out.glob("shards/*/rows/*.json")}
    before |= _closed_ids(out)
    times = _array_times(out, before)

    seen: list[Progress] = []
    summary = _run(toy_archive, str(out), quick_settings, seen)
    assert seen[0].num_done + seen[0].num_refused >= len(before)
    assert (summary.num_done, summary.num_refused) == (NUM_STUDIES, 1)
    assert_same_stores(str(out), undisturbed)
    assert _array_times(out, before) == times, "a study that was done was done again"
    assert not list(out.rglob("*.part"))
    assert not list(out.glob("shards/*/rows"))


def _closed_ids(out: Path) -> set[str]:
    """Return the prepared studies of closed shards: their arrays are all named by a row."""
    closed = [path.parent for path in out.glob("shards/*/studies.parquet")]
    return {path.stem for shard in closed for path in shard.glob("arrays/*.npy")}


def _array_times(out: Path, case_ids: set[str]) -> dict[str, int]:
    paths = out.glob("shards/*/arrays/*.npy")
    return {path.stem: path.stat().st_mtime_ns for path in paths if path.stem in case_ids}


def _start_command_line(
    table: Path, out: Path, settings: Settings, tmp_path: Path
) -> subprocess.Popen[bytes]:
    toml = tmp_path / "settings.toml"
    toml.write_text(
        "[preprocessing]\nn4_iterations = [5]\n"
        f"[archive]\nshard_studies = {settings.archive.shard_studies}\n"
        f"worker_memory_mb = {settings.archive.worker_memory_mb}\n"
    )
    command = [sys.executable, "-m", "pirta_cli.main", "preprocess", str(table), str(out)]
    environment = {key: value for key, value in os.environ.items() if key != "RAY_ADDRESS"}
    return subprocess.Popen(
        [*command, "--settings", str(toml)],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


@pytest.mark.parametrize("num_done", [0, 4, NUM_STUDIES - 1])
def test_a_killed_worker_costs_the_study_in_hand_and_no_more(
    num_done: int, toy_archive: Path, undisturbed: str, quick_settings: Settings, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    killed: list[int] = []

    def kill_one() -> None:
        _wait(lambda: _committed(out) >= num_done and bool(_busy_workers(out)))
        pid = _busy_workers(out)[0]
        os.kill(pid, signal.SIGKILL)
        killed.append(pid)

    watcher = threading.Thread(target=kill_one, daemon=True)
    watcher.start()
    summary = _run(toy_archive, str(out), quick_settings)
    watcher.join()
    assert killed
    assert (summary.num_done, summary.num_refused) == (NUM_STUDIES, 1)
    assert_same_stores(str(out), undisturbed)


def _busy_workers(out: Path) -> list[int]:
    """Return the processes that began with a study and have not committed it."""
    busy = []
    for path in sorted(out.glob("shards/*/attempts/*.1")):
        if not (path.parents[1] / "rows" / f"{path.stem}.json").exists():
            busy.append(path.read_text().partition("@")[0])
    return [int(pid) for pid in busy if pid]


def test_a_study_that_ends_its_worker_each_time_or_hangs_becomes_a_dead_letter(
    quick_settings: Settings, tmp_path: Path
) -> None:
    class Poisoned:
        """A stripper that the first voxel of a study tells what to do."""

        def __init__(self, settings: PreprocessingSettings) -> None:
            self._stripper = make_stripper(settings)

        def method(self, dwi: Volume) -> str:
            return self._stripper.method(dwi)

        def strip(self, dwi: Volume) -> np.ndarray:
            if dwi.data_XYZ[0, 0, 0] == 1:
                os.kill(os.getpid(), signal.SIGKILL)
            if dwi.data_XYZ[0, 0, 0] == 2:
                time.sleep(600)
            return self._stripper.strip(dwi)

    cases = [record(name) for name in ("one", "deadly", "two", "hanging", "three")]
    for seed, case in enumerate(cases):
        write_study(tmp_path, seed, stem=f"{case.case_id}_")
    for code, name in enumerate(("deadly", "hanging"), start=1):
        _mark(tmp_path / f"{name}_dwi.nii.gz", code)
    write_cohort(str(tmp_path / "cohort.parquet"), cases)
    archive = quick_settings.archive.model_copy(update={"study_timeout_s": 8.0})
    out = str(tmp_path / "out")
    summary = preprocess_cohort(
        str(tmp_path / "cohort.parquet"),
        out,
        settings=quick_settings.model_copy(update={"archive": archive}),
        num_workers=2,
        on_progress=lambda _: None,
        stripper=Poisoned,
    )
    assert (summary.num_done, summary.num_refused) == (3, 2)
    assert [one.case.case_id for one in read_prepared(out)] == ["one", "two", "three"]
    assert list(stored_arrays(out)) == ["one", "two", "three"]
    deadly, hanging = read_refused(out)
    assert (deadly.case_id, deadly.code) == ("deadly", "worker_lost")
    assert "2 times" in deadly.reason
    assert (hanging.case_id, hanging.code) == ("hanging", "study_timeout")
    assert "longer than 8 s" in hanging.reason


def _mark(path: Path, code: int) -> None:
    import nibabel as nib

    image = nib.load(path)
    data_XYZ = np.asarray(image.dataobj).copy()
    data_XYZ[0, 0, 0] = code
    nib.save(nib.Nifti1Image(data_XYZ, image.affine), path)
