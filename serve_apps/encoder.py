"""The encoder's deployment: prepared studies to embeddings, in batches, on CPU or GPU.

Axis suffixes: B studies of a batch, C channels, X Y Z voxels, D embedding, K labels.
"""

from __future__ import annotations

import asyncio
import time

import numpy as np
from ray import serve

from pirta.contracts.encoding import EncodedStudy
from pirta.contracts.study import PreparedStudy
from pirta.errors import FingerprintError, ReleaseError
from pirta.log import make_logger
from pirta.models.runtime import load_encoder
from pirta.settings import EncoderSettings

_MAX_BATCH = 8
_BATCH_WAIT_S = 0.01


class Encoder:
    """One replica: one encoder, which has to be the release's."""

    def __init__(self, settings: EncoderSettings, *, expected_sha256: str) -> None:
        """Load the encoder.

        Raises:
            CheckpointError: its folder cannot be used.
            ReleaseError: it is another one than the release names.
        """
        started_s = time.monotonic()
        self._encoder = load_encoder(
            settings.path,
            device=settings.device,
            num_threads=settings.num_threads,
            precision=settings.precision,
        )
        if self._encoder.sha256 != expected_sha256:
            raise ReleaseError(
                f"The encoder in {settings.path} is {self._encoder.sha256[:12]}, "
                f"the release names {expected_sha256[:12]}.",
                remedy="Put the release's encoder there, or build the index again.",
            )
        self._log = make_logger()
        self._log.info("encoder loaded", duration_s=time.monotonic() - started_s)

    @serve.batch(max_batch_size=_MAX_BATCH, batch_wait_timeout_s=_BATCH_WAIT_S)
    async def _encode_batch(self, volumes_CXYZ: list[np.ndarray]) -> list[EncodedStudy]:
        started_s = time.monotonic()
        embeddings_BD, probabilities_BK = await asyncio.to_thread(
            self._encoder.embed, np.stack(volumes_CXYZ)
        )
        self._log.info(
            "batch encoded", count=len(volumes_CXYZ), duration_s=time.monotonic() - started_s
        )
        return [
            EncodedStudy(embedding_D, probabilities_K, self._encoder.sha256)
            for embedding_D, probabilities_K in zip(embeddings_BD, probabilities_BK, strict=True)
        ]

    async def encode(self, prepared: PreparedStudy) -> EncodedStudy:
        """Return one study's embedding; studies that come together share a batch.

        Raises:
            FingerprintError: it was prepared otherwise than the encoder's training data.
        """
        # Checked before the batch: one study's fault must not fail its neighbours.
        if prepared.fingerprint != self._encoder.preprocessing_fingerprint:
            raise FingerprintError(
                f"The study was prepared as {prepared.fingerprint}, the encoder was trained on "
                f"{self._encoder.preprocessing_fingerprint}.",
                remedy="Use the preprocessing settings of the release.",
            )
        encoded: EncodedStudy = await self._encode_batch(prepared.volume_CXYZ)
        return encoded

    async def ready(self) -> None:
        """Return once this replica can work."""
