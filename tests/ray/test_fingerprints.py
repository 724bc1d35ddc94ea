"""A study prepared otherwise than the encoder's training data: refused wherever they meet.

Nothing here starts Ray: both places have to refuse before anything is batched or sent.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from pirta.cohort.prepared_store import read_prepared
from pirta.contracts.study import PreparedStudy
from pirta.errors import FingerprintError
from pirta.imaging.prepare import fingerprint
from pirta.models.config import tiny
from pirta.models.encoder import TerritoryEncoder
from pirta.models.runtime import save_encoder
from pirta.pipelines.embed import embed_cases
from pirta.settings import EncoderSettings, PreprocessingSettings
from serve_apps.encoder import Encoder

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
    encoder: tuple[EncoderSettings, str],
) -> None:
    settings, sha256 = encoder
    replica = Encoder(settings, expected_sha256=sha256)
    volume_CXYZ = np.zeros((2, *tiny().volume_vox), np.float32)
    with pytest.raises(FingerprintError, match=OTHER) as caught:
        await replica.encode(PreparedStudy(volume_CXYZ, OTHER, {}))
    assert TRAINED_ON in caught.value.message


def test_the_embedding_job_refuses_the_store_before_any_worker_starts(
    encoder: tuple[EncoderSettings, str], synthetic_store: str
) -> None:
    import ray

    settings, _ = encoder
    was_running = ray.is_initialized()
    with pytest.raises(FingerprintError, match="8 of 8 studies were prepared as synthetic"):
        embed_cases(read_prepared(synthetic_store), encoder=settings)
    assert ray.is_initialized() == was_running
