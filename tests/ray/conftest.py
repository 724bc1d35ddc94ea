"""What the tests of the preprocessing job share: an archive, and a run that nothing disturbed."""

from __future__ import annotations

from pathlib import Path

import pytest

from pirta.settings import ArchiveSettings, Settings
from tests.ray.archive import QUICK, write_archive


@pytest.fixture(scope="session")
def quick_settings() -> Settings:
    """Settings for toy studies, in shards of eight."""
    archive = ArchiveSettings(shard_studies=8, worker_memory_mb=1024, pseudonym_key="secret")
    return Settings().model_copy(update={"preprocessing": QUICK, "archive": archive})


@pytest.fixture(scope="session")
def toy_archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The table of eleven toy studies, one of which cannot be read: two shards."""
    return write_archive(tmp_path_factory.mktemp("archive"), 10)
