"""A study prepared otherwise than the encoder's training data: refused wherever they meet.

Nothing here starts Ray: both places have to refuse before anything is batched or sent.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import SecretStr

from pirta.cohort.prepared_store import read_prepared
from pirta.contracts.study import PreparedStudy
from pirta.errors import FingerprintError, UnknownReleaseError
from pirta.imaging.prepare import fingerprint
from pirta.models.config import tiny
from pirta.models.encoder import TerritoryEncoder
from pirta.models.runtime import save_encoder
from pirta.pipelines.embed import embed_cases
from pirta.releases.store import ReleaseStore
from pirta.settings import EncoderSettings, PreprocessingSettings, ReleasesSettings
from serve_apps.encoder import Encoder
from tests.unit.serve_apps.releases import activate, new_store, release_of

pytestmark = [pytest.mark.ray, pytest.mark.filterwarnings("ignore::ResourceWarning")]

TRAINED_ON = fingerprint(PreprocessingSettings())
OTHER = fingerprint(PreprocessingSettings(n4_on_adc=True))


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> tuple[EncoderSettings, str]:
    folder: Path = tmp_path_factory.mktemp("encoder")
    torch.manual_seed(0)
    manifest = save_encoder(
        folder,
        TerritoryEncoder(tiny()),
        run={},
        data_sha256="d",
        preprocessing_fingerprint=TRAINED_ON,
        metrics={},
        command="test",
    )
    return EncoderSettings(path=folder), manifest.sha256


def test_one_setting_apart_is_another_fingerprint() -> None:
    assert TRAINED_ON != OTHER


async def test_the_encoders_deployment_refuses_the_study_by_both_names(
    encoder: tuple[EncoderSettings, str], tmp_path: Path
) -> None:
    settings, sha256 = encoder
    store = new_store(tmp_path)
    parts = {"encoder_path": str(settings.path), "encoder_sha256": sha256}
    release_id = activate(store, release_of(preprocessing_fingerprint=TRAINED_ON, **parts))
    replica = Encoder(settings, releases_of(tmp_path), preprocessing_fingerprint=TRAINED_ON)
    volume_CXYZ = np.zeros((2, *tiny().volume_vox), np.float32)
    with pytest.raises(FingerprintError, match=OTHER) as caught:
        await replica.encode(PreparedStudy(volume_CXYZ, OTHER, {}), release_id=release_id)
    assert TRAINED_ON in caught.value.message


async def test_a_service_that_prepares_otherwise_holds_no_such_release_and_says_why(
    encoder: tuple[EncoderSettings, str], tmp_path: Path
) -> None:
    settings, sha256 = encoder
    store = new_store(tmp_path)
    parts = {"encoder_path": str(settings.path), "encoder_sha256": sha256}
    release_id = activate(store, release_of(preprocessing_fingerprint=TRAINED_ON, **parts))
    # It comes up: after an update only a replica that is up can load the release that follows.
    replica = Encoder(settings, releases_of(tmp_path), preprocessing_fingerprint=OTHER)
    told = await refusal(replica, store, release_id, code="fingerprint_mismatch")
    assert TRAINED_ON in told
    assert OTHER in told


async def test_an_encoder_that_is_not_the_releases_is_refused_by_both_names(
    encoder: tuple[EncoderSettings, str], tmp_path: Path
) -> None:
    settings, sha256 = encoder
    store = new_store(tmp_path)
    parts = {"encoder_path": str(settings.path), "encoder_sha256": "0" * 64}
    release_id = activate(store, release_of(preprocessing_fingerprint=TRAINED_ON, **parts))
    replica = Encoder(settings, releases_of(tmp_path), preprocessing_fingerprint=TRAINED_ON)
    told = await refusal(replica, store, release_id, code="release_invalid")
    assert "000000000000" in told
    assert sha256[:12] in told


async def refusal(replica: Encoder, store: ReleaseStore, release_id: str, *, code: str) -> str:
    """Check that a replica embeds nothing for a release, and return what it told the store."""
    prepared = PreparedStudy(np.zeros((2, *tiny().volume_vox), np.float32), TRAINED_ON, {})
    for call in (replica.ready(release_id), replica.encode(prepared, release_id=release_id)):
        with pytest.raises(UnknownReleaseError, match=code):
            await call
    (row,) = store.live_replicas(within_s=60.0)
    assert row.loads[release_id].state == "failed"
    return row.loads[release_id].message


def releases_of(folder: Path) -> ReleasesSettings:
    return ReleasesSettings(store_url=SecretStr(f"sqlite:///{folder / 'releases.db'}"), poll_s=0.1)


def test_the_embedding_job_refuses_the_store_before_any_worker_starts(
    encoder: tuple[EncoderSettings, str], synthetic_store: str
) -> None:
    import ray

    settings, _ = encoder
    was_running = ray.is_initialized()
    with pytest.raises(FingerprintError, match="8 of 8 studies were prepared as synthetic"):
        embed_cases(read_prepared(synthetic_store), encoder=settings)
    assert ray.is_initialized() == was_running
