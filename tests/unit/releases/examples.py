"""Releases for the store's tests, the way of one to a given state, and processes beside ours."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta

from pirta.contracts.release import GateResult, Release
from pirta.releases.states import State
from pirta.releases.store import ReleaseStore

PASSED = GateResult(name="rows", passed=True, value=3, limit=3, unit="rows")
FAILED = GateResult(name="recall@5", passed=False, value=0.8, limit=0.95)


def make_release(number: int = 1, *, collection: str | None = None) -> Release:
    """Return a release that differs from those of other numbers."""
    return Release(
        encoder_path="weights/encoder",
        encoder_sha256="e" * 64,
        preprocessing_fingerprint="prep-1",
        collection=collection or f"cases_{number}",
        index_sha256=f"{number:064x}",
        num_cases=3,
        dimensions=768,
        writer_base_path="weights/base",
        writer_base_sha256="b" * 64,
        writer_adapter_path="weights/adapter",
        writer_adapter_sha256="a" * 64,
        prompt_sha256="d" * 64,
        commit="c" * 40,
    )


def bring_to(store: ReleaseStore, release: Release, state: State) -> str:
    """Add a release and take it to a state; return its id."""
    release_id = release.release_id
    store.add(release, actor="ann")
    if state == "built":
        return release_id
    gates = [FAILED if state == "rejected" else PASSED]
    store.record_gates(release_id, gates, actor="ann")
    steps = {
        "staging": lambda: store.begin_staging(release_id, actor="ann"),
        "staged": lambda: store.finish_staging(release_id),
        "active": lambda: store.activate(release_id, expected_version=None, actor="ann"),
    }
    ends = {
        "draining": lambda: store.begin_retirement(release_id, actor="ann"),
        "retired": lambda: store.finish_retirement(release_id),
        "dropped": lambda: store.mark_dropped(release_id, actor="ann"),
    }
    for name, step in (ends if state in ends else steps).items():
        if state in {"rejected", "verified"}:
            break
        step()
        if name == state:
            break
    assert store.get(release_id).state == state
    return release_id


class Hands:
    """A clock whose hands a test moves."""

    def __init__(self) -> None:
        self.at = datetime(2026, 1, 1, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.at

    def move(self, *, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


def start_python(code: str, *arguments: str) -> subprocess.Popen[str]:
    """Start a process of its own that runs `code`; what it prints is on its stdout."""
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
