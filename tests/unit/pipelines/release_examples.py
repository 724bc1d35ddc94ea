"""Release records that name nothing real, and a store of them on disk, for tests of their life."""

from __future__ import annotations

from pathlib import Path

from pirta.contracts.release import GateResult, Release
from pirta.releases.store import ReleaseStore

ACTOR = "a test"
PASSED = (GateResult(name="rows", passed=True, value=1, limit=1),)


def make_release(collection: str = "cases_a", **changes: object) -> Release:
    """Return a record; it differs from another one by what is given."""
    fields = {
        "encoder_path": "encoder",
        "encoder_sha256": "e" * 64,
        "preprocessing_fingerprint": "prep",
        "collection": collection,
        "index_sha256": "1" * 64,
        "num_cases": 1,
        "dimensions": 4,
        "writer_base_path": "base",
        "writer_base_sha256": "b" * 64,
        "writer_adapter_path": "adapter",
        "writer_adapter_sha256": "a" * 64,
        "prompt_sha256": "2" * 64,
        "commit": "c",
        **changes,
    }
    return Release.model_validate(fields)


def open_store(folder: Path) -> ReleaseStore:
    """Return a new store in the folder."""
    store = ReleaseStore(f"sqlite:///{folder / 'releases.db'}")
    store.migrate()
    return store


def add_verified(releases: ReleaseStore, release: Release) -> str:
    """Add a release that has passed its gates, and return its id."""
    releases.add(release, actor=ACTOR)
    releases.record_gates(release.release_id, PASSED, actor=ACTOR)
    return release.release_id


def add_staged(releases: ReleaseStore, release: Release) -> str:
    """Add a release that every replica is said to hold, and return its id."""
    release_id = add_verified(releases, release)
    releases.begin_staging(release_id, actor=ACTOR)
    releases.finish_staging(release_id)
    return release_id
