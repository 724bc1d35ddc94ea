"""What the tests of a release's life start from: a store, an encoder's settings, an open state."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pirta.releases.store import ReleaseStore
from pirta.settings import Settings
from tests.ray.releases.release_parts import (
    open_releases,
    settings_with,
    write_encoder,
    write_store,
)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A prepared store whose fingerprint is the settings'."""
    return write_store(tmp_path_factory.mktemp("prepared"))


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings with a small untrained encoder."""
    return settings_with(write_encoder(tmp_path_factory.mktemp("weights") / "encoder"))


@pytest.fixture
def releases(tmp_path: Path) -> Iterator[ReleaseStore]:
    """An empty store of releases."""
    opened = open_releases(tmp_path)
    yield opened
    opened.close()
