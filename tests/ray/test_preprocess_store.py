"""One store over time: manifest after manifest, one session at a time, and where links are kept."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import ray
from pydantic import SecretStr

from pirta.errors import FingerprintError, SettingsError, StoreError
from pirta.pipelines.local_ray import start_local_ray
from pirta.pipelines.preprocess import PreprocessSummary, Progress, preprocess_cohort
from pirta.settings import Settings
from tests.ray.archive import stored_arrays, write_study

pytestmark = [
    pytest.mark.ray,
    # Ray 2.60's DataContext warns of its own defaults whenever it is made.
    pytest.mark.filterwarnings("ignore::DeprecationWarning:ray.data"),
]


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[None]:
    start_local_ray(4)
    yield
    ray.shutdown()


def _run(manifest: str, out: str, settings: Settings) -> PreprocessSummary:
    return preprocess_cohort(
        manifest, out, settings=settings, num_workers=2, on_progress=lambda _: None
    )


def _table(folder: Path, *names: str) -> str:
    """Write studies that are not there yet, and a manifest of them."""
    for name in names:
        if not (folder / name).exists():
            write_study(folder / name, seed=ord(name))
    path = folder / f"{''.join(names)}.csv"
    path.write_text("case_id,study_uri\n" + "".join(f"{name},{name}\n" for name in names))
    return str(path)


def test_a_weekly_manifest_of_new_studies_adds_to_the_store(
    quick_settings: Settings, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    _run(_table(tmp_path, "a", "b"), str(out), quick_settings)
    before = {path: path.read_bytes() for path in out.rglob("*.npy")}
    summary = _run(_table(tmp_path, "c"), str(out), quick_settings)
    assert (summary.num_done, summary.num_refused, summary.num_others) == (1, 0, 2)
    assert sorted(stored_arrays(str(out))) == ["a", "b", "c"]
    assert all(path.read_bytes() == data for path, data in before.items())
    run = json.loads((out / "run.json").read_text())
    assert (run["prepared"], run["of_earlier_manifests"]) == (1, 2)


def test_a_manifest_of_some_studies_under_other_settings_is_refused_with_their_number(
    quick_settings: Settings, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    _run(_table(tmp_path, "a", "b", "c"), str(out), quick_settings)
    preprocessing = quick_settings.preprocessing.model_copy(update={"n4_iterations": (3,)})
    other = quick_settings.model_copy(update={"preprocessing": preprocessing})
    files = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    with pytest.raises(FingerprintError, match="holds 2 studies that this manifest does not name"):
        _run(_table(tmp_path, "a"), str(out), other)
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == files
    assert _run(_table(tmp_path, "a", "b", "c"), str(out), other).num_done == 3


def test_a_second_session_is_refused_and_disturbs_nothing(
    quick_settings: Settings, toy_archive: Path, tmp_path: Path
) -> None:
    out, told = tmp_path / "out", []
    code = (
        "import sys; from pirta.cohort.session_lease import hold_store\n"
        "with hold_store(sys.argv[1]): pass"
    )

    def begin_another(progress: Progress) -> None:
        if progress.num_done == 2 and not told:
            command = [sys.executable, "-c", code, str(out)]
            told.append(subprocess.run(command, capture_output=True, text=True, check=False))

    summary = preprocess_cohort(
        str(toy_archive), str(out), settings=quick_settings, num_workers=2,
        on_progress=begin_another,
    )  # fmt: skip
    assert (summary.num_done, summary.num_refused) == (10, 1)
    assert f"Another session works on this output: process {os.getpid()}" in told[0].stderr
    assert not (out / "session.json").exists()


def test_a_session_whose_store_was_taken_over_ends_with_an_error_for_people(
    quick_settings: Settings, toy_archive: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"

    def take_over(progress: Progress) -> None:
        if progress.num_done == 2:
            path = out / "session.json"
            other = {**json.loads(path.read_text()), "session": "other", "host": "another"}
            path.write_text(json.dumps(other))

    with pytest.raises(StoreError, match="Another session works on this output"):
        preprocess_cohort(
            str(toy_archive), str(out), settings=quick_settings, num_workers=2,
            on_progress=take_over,
        )  # fmt: skip
    assert not (out / "studies.parquet").exists()
    (out / "session.json").unlink()
    assert _run(str(toy_archive), str(out), quick_settings).num_done == 10


def test_links_can_lie_with_the_archive_and_a_folder_without_a_key_is_not_scanned(
    quick_settings: Settings, tmp_path: Path
) -> None:
    write_study(tmp_path / "archive" / "Doe^Jane", 1)
    out, links = tmp_path / "out", tmp_path / "kept" / "links.parquet"
    no_key = quick_settings.archive.model_copy(update={"pseudonym_key": SecretStr("")})
    with pytest.raises(SettingsError, match="pseudonym_key is not set"):
        _run(
            str(tmp_path / "archive"), str(out),
            quick_settings.model_copy(update={"archive": no_key}),
        )  # fmt: skip
    assert not out.exists()
    preprocess_cohort(
        str(tmp_path / "archive"), str(out), settings=quick_settings, num_workers=1,
        on_progress=lambda _: None, links=str(links),
    )  # fmt: skip
    assert pq.read_table(links).to_pylist()[0]["study_uri"] == "Doe^Jane"
    assert not (out / "links.parquet").exists()
    assert not any(b"Doe" in path.read_bytes() for path in out.rglob("*") if path.is_file())
