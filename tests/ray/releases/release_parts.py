"""A small untrained encoder, the shipped writer, and a store of releases, for building real ones.

The synthetic studies are marked as prepared by the default settings, so that every gate may hold.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from bench.synthetic_store import write_synthetic_store
from pirta.cohort.prepared_store import PreparedCase, close_run
from pirta.imaging.prepare import fingerprint
from pirta.models.config import EncoderConfig
from pirta.models.encoder import TerritoryEncoder
from pirta.models.runtime import save_encoder
from pirta.releases.store import ReleaseStore
from pirta.settings import EncoderSettings, PreprocessingSettings, Settings

SMALL = EncoderConfig(hidden_size=32, mlp_size=32, num_layers=1, num_heads=2, dimensions=16)


def write_encoder(folder: Path, *, seed: int = 0, prepared_as: str | None = None) -> Path:
    """Write an untrained encoder and return its folder."""
    folder.mkdir(parents=True)
    torch.manual_seed(seed)
    save_encoder(
        folder,
        TerritoryEncoder(SMALL),
        run={},
        data_sha256="d",
        preprocessing_fingerprint=prepared_as or fingerprint(PreprocessingSettings()),
        metrics={},
        command="test",
    )
    return folder


def write_store(folder: Path) -> str:
    """Write a store of eight synthetic studies in the splits train and val."""
    write_synthetic_store(str(folder), fingerprint=fingerprint(PreprocessingSettings()))
    return str(folder)


def settings_with(encoder: Path) -> Settings:
    """Return settings with this encoder and the shipped writer."""
    # In float32 the values are the same on every processor and in every batch.
    return Settings(encoder=EncoderSettings(path=encoder, precision="float32"))


def open_releases(folder: Path) -> ReleaseStore:
    """Return a new store of releases in the folder."""
    releases = ReleaseStore(f"sqlite:///{folder / 'releases.db'}")
    releases.migrate()
    return releases


def write_table(root: Path, *cases: PreparedCase) -> str:
    """Write a store's table over arrays that lie elsewhere, and return its root."""
    root.mkdir(parents=True, exist_ok=True)
    close_run(str(root), cases, [])
    return str(root)


def with_facts(case: PreparedCase, **changes: object) -> PreparedCase:
    """Return a prepared case with other facts of its record."""
    return replace(case, case=case.case.model_copy(update=changes))
