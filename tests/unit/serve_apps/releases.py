"""Releases of nothing in a real store on SQLite, and the shortest ways from state to state."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

from pirta.contracts.release import GateResult, Release
from pirta.releases.store import ReleaseStore
from pirta.reporting.prompt import prompt_sha256

PASSED = (GateResult(name="row_count", passed=True, value=1, limit=1),)


def release_of(name: str = "one", **changes: object) -> Release:
    """Return a release whose parts are named after it."""
    values: dict[str, object] = {
        "encoder_path": f"encoder-{name}",
        "encoder_sha256": f"encoder-{name}".ljust(64, "e"),
        "preprocessing_fingerprint": "prep-1",
        "collection": f"cases_{name}",
        "index_sha256": name.ljust(64, "1"),
        "num_cases": 1,
        "dimensions": 2,
        "writer_base_path": "base",
        "writer_base_sha256": "b" * 64,
        "writer_adapter_path": "adapter",
        "writer_adapter_sha256": "a" * 64,
        "prompt_sha256": prompt_sha256(),
        "commit": "c",
    }
    return Release.model_validate(values | changes)


def new_store(folder: Path) -> ReleaseStore:
    """Return an empty store in the folder."""
    path = folder / "releases.db"
    path.write_bytes(_empty_store())
    return ReleaseStore(f"sqlite:///{path}")


@cache
def _empty_store() -> bytes:
    """Return the file of a store as its migrations leave it, which takes them half a second."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "releases.db"
        store = ReleaseStore(f"sqlite:///{path}")
        store.migrate()
        store.close()
        return path.read_bytes()


def begin_staging(store: ReleaseStore, release: Release) -> str:
    """Bring a release to `staging` and return its id."""
    store.add(release, actor="test")
    store.record_gates(release.release_id, PASSED, actor="test")
    store.begin_staging(release.release_id, actor="test")
    return release.release_id


def activate(store: ReleaseStore, release: Release) -> str:
    """Bring a release to `active` and return its id."""
    release_id = begin_staging(store, release)
    store.finish_staging(release_id)
    store.activate(release_id, expected_version=None, actor="test")
    return release_id
