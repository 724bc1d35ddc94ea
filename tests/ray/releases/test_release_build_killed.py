"""A build whose process is killed: what was embedded stays, and the end is the same release."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pirta.pipelines import kept_embeddings
from pirta.pipelines.build_release import build_release
from pirta.releases.store import ReleaseStore
from pirta.retrieval.exact import ExactIndex
from pirta.settings import Settings
from tests.ray.releases.release_parts import (
    open_releases,
)

pytestmark = [pytest.mark.ray, pytest.mark.filterwarnings("ignore::ResourceWarning")]

ACTOR = "a test"

WAIT_S = 300.0

# The build in a process of its own, two cases a step; it waits for its end after the second step.
KILLED_BUILD = """
import sys, time
from pathlib import Path
from pirta.pipelines import kept_embeddings
from pirta.pipelines.build_release import build_release
from pirta.retrieval.exact import ExactIndex
from tests.ray.releases.release_parts import open_releases, settings_with

store, encoder, folder = sys.argv[1:]
kept_embeddings.STEP_STUDIES = 2
kept, calls = kept_embeddings.write_whole, 0

def keep(path, content):
    global calls
    kept(path, content)
    calls += 1
    while calls == 2:
        time.sleep(1)

kept_embeddings.write_whole = keep
build_release(store, settings=settings_with(Path(encoder)), index=ExactIndex(),
              releases=open_releases(Path(folder)), actor="killed", split=None,
              embeddings=folder + "/kept")
"""


def test_a_build_that_was_killed_goes_on_and_ends_with_the_same_release(
    store: str, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_embeddings, "STEP_STUDIES", 2)
    folder = tmp_path / "killed"
    folder.mkdir()
    command = [sys.executable, "-c", KILLED_BUILD, store, str(settings.encoder.path), str(folder)]
    root = Path(__file__).resolve().parents[2]
    with subprocess.Popen(command, cwd=root, stdout=subprocess.DEVNULL) as process:
        try:
            _wait_for_files(folder / "kept", 2, process)
        finally:
            process.send_signal(signal.SIGKILL)
    kept = {path: path.stat().st_mtime_ns for path in (folder / "kept").iterdir()}
    assert len(kept) == 2
    calls: list[int] = []
    embed = kept_embeddings.embed_cases
    monkeypatch.setattr(
        kept_embeddings,
        "embed_cases",
        lambda cases, **named: calls.append(len(cases)) or embed(cases, **named),
    )

    def build(embeddings: Path, releases: ReleaseStore) -> str:
        return build_release(
            store,
            settings=settings,
            index=ExactIndex(),
            releases=releases,
            actor=ACTOR,
            split=None,
            embeddings=str(embeddings),
        ).release_id

    releases = open_releases(folder)
    resumed = build(folder / "kept", releases)
    assert calls == [2, 2], "two of four steps were done"
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert build(tmp_path / "undisturbed", releases) == resumed
    releases.close()


def _wait_for_files(folder: Path, count: int, process: subprocess.Popen[bytes]) -> None:
    ends_s = time.monotonic() + WAIT_S
    while len(list(folder.glob("*.parquet"))) < count:
        assert process.poll() is None, "the build ended before it could be killed"
        assert time.monotonic() < ends_s, "the moment to kill never came"
        time.sleep(0.05)
