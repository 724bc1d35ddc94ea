"""The encoder's deployment: prepared studies to embeddings, in batches, on CPU or GPU.

A replica holds the encoder of every wanted release; two releases of one encoder share it. Studies
of different releases may come in one batch and are never embedded by one another's encoder.

Axis suffixes: B studies of a batch, C channels, X Y Z voxels, D embedding, K labels.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from numpy.typing import NDArray
from ray import serve

from pirta.contracts.encoding import EncodedStudy
from pirta.contracts.release import Release
from pirta.contracts.study import PreparedStudy
from pirta.errors import FingerprintError
from pirta.log import make_logger
from pirta.models.runtime import LoadedEncoder, load_encoder
from pirta.releases.memory import bytes_needed, check_memory, folder_bytes, read_free_bytes
from pirta.settings import EncoderSettings, ReleasesSettings
from serve_apps.part_checks import check_checkpoint, check_fingerprint
from serve_apps.replica import hold_releases

_MAX_BATCH = 8
_BATCH_WAIT_S = 0.01


class EncoderLoader:
    """Loads a release's encoder beside those that are there."""

    def __init__(self, settings: EncoderSettings, *, preprocessing_fingerprint: str) -> None:
        self._settings = settings
        self._fingerprint = preprocessing_fingerprint

    def key(self, release: Release) -> str:
        """Return the encoder's hash."""
        return release.encoder_sha256

    def load(self, release: Release, held: Collection[Release]) -> LoadedEncoder:
        """Return the release's encoder.

        Raises:
            FingerprintError: this service prepares studies otherwise than the release wants.
            ReleaseError: its folder cannot be used, or holds another encoder.
            CheckpointError: this machine cannot run it.
            MemoryShortError: it does not fit beside the others.
        """
        check_fingerprint(release, self._fingerprint)
        path = check_checkpoint(release, "encoder")
        if held:  # the first is loaded without asking: there is nothing that it could harm
            needs = bytes_needed(release, held=held, folder_bytes=folder_bytes)
            check_memory({"encoder": needs["encoder"]}, free_bytes=_free(self._settings.device))
        settings = self._settings
        return load_encoder(
            path,
            device=settings.device,
            num_threads=settings.num_threads,
            precision=settings.precision,
        )

    def unload(self, part: LoadedEncoder) -> None:
        """Leave the encoder to the last request that still uses it."""
        del part


@dataclass(frozen=True)
class _Waiting:
    """A study in a batch, with the encoder that it came for."""

    release_id: str
    encoder: LoadedEncoder
    volume_CXYZ: NDArray[np.float32]


class Encoder:
    """One replica: the encoders of all wanted releases."""

    def __init__(
        self,
        settings: EncoderSettings,
        releases: ReleasesSettings,
        *,
        preprocessing_fingerprint: str,
    ) -> None:
        """Load what is wanted.

        Raises:
            UnavailableError: the store does not answer.
        """
        loader = EncoderLoader(settings, preprocessing_fingerprint=preprocessing_fingerprint)
        self._releases = hold_releases(releases, loader, deployment="Encoder")
        self._log = make_logger()

    @serve.batch(max_batch_size=_MAX_BATCH, batch_wait_timeout_s=_BATCH_WAIT_S)
    async def _encode_batch(self, batch: list[_Waiting]) -> list[EncodedStudy]:
        started_s = time.monotonic()
        encoded = await asyncio.to_thread(_embed, batch)
        self._log.info("batch encoded", count=len(batch), duration_s=time.monotonic() - started_s)
        return encoded

    async def encode(self, prepared: PreparedStudy, *, release_id: str) -> EncodedStudy:
        """Return one study's embedding; studies that come together share a batch.

        Raises:
            UnknownReleaseError: this replica does not hold the release.
            FingerprintError: it was prepared otherwise than the encoder's training data.
        """
        encoder = self._releases.get(release_id).part
        # Checked before the batch: one study's fault must not fail its neighbours.
        if prepared.fingerprint != encoder.preprocessing_fingerprint:
            raise FingerprintError(
                f"The study was prepared as {prepared.fingerprint}, the encoder was trained on "
                f"{encoder.preprocessing_fingerprint}.",
                remedy="Use the preprocessing settings of the release.",
            )
        waiting = _Waiting(release_id, encoder, prepared.volume_CXYZ)
        encoded: EncodedStudy = await self._encode_batch(waiting)
        return encoded

    async def ready(self, release_id: str) -> None:
        """Return if this replica can work with the release.

        Raises:
            UnknownReleaseError: it does not hold it.
        """
        self._releases.get(release_id)

    def check_health(self) -> None:
        """Tell Serve that this replica keeps in step with the store (the name is Serve's)."""
        self._releases.check_alive()

    def __del__(self) -> None:
        if hasattr(self, "_releases"):
            self._releases.stop()


def _free(device: str) -> int:
    if device != "cuda":
        return read_free_bytes()
    import torch

    free_bytes, _ = torch.cuda.mem_get_info()
    return int(free_bytes)


def _embed(batch: list[_Waiting]) -> list[EncodedStudy]:
    """Return each study's embedding by its own encoder, in the batch's order."""
    found: dict[int, EncodedStudy] = {}
    at_encoder = sorted(enumerate(batch), key=lambda item: item[1].encoder.sha256)
    for sha256, group in groupby(at_encoder, key=lambda item: item[1].encoder.sha256):
        places, studies = zip(*group, strict=True)
        embeddings_BD, probabilities_BK = studies[0].encoder.embed(
            np.stack([study.volume_CXYZ for study in studies])
        )
        for row, (place, study) in enumerate(zip(places, studies, strict=True)):
            found[place] = EncodedStudy(
                embeddings_BD[row], probabilities_BK[row], sha256, study.release_id
            )
    return [found[place] for place in range(len(batch))]
