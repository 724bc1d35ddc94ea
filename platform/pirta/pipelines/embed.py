"""Prepared studies into the encoder's space, with Ray Data: one encoder a worker, in batches.

The batches are cut here, in the order of the cases: an encoder's last bits depend on what stands
beside a study in its batch, and the same cases must give the same rows again.

Axis suffixes: N studies, B studies of a batch, C channels, X Y Z voxels, D embedding
dimensions, K the four labels in the order of `LABELS`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import ray
from numpy.typing import NDArray
from ray.exceptions import RayTaskError

from pirta.cohort.prepared_store import PreparedCase, load_volume
from pirta.errors import FingerprintError, ManifestError, PirtaError
from pirta.models.runtime import load_encoder
from pirta.pipelines.local_ray import affordable_workers, cpus_for, quiet_ray_data, ray_running
from pirta.settings import EncoderSettings

_BATCH_STUDIES = 8
_WORKER_MEMORY_BYTES = 1024**3

OnProgress = Callable[[int, int], None]


@dataclass(frozen=True)
class EmbeddedCases:
    """Cases in the order they were given, each with its row in both arrays.

    Attributes:
        embeddings_ND: float32, unit length.
        probabilities_NK: float32, the classifier's softmax.
    """

    cases: tuple[PreparedCase, ...]
    embeddings_ND: NDArray[np.float32]
    probabilities_NK: NDArray[np.float32]
    encoder_sha256: str
    preprocessing_fingerprint: str


def embed_cases(
    cases: Sequence[PreparedCase],
    *,
    encoder: EncoderSettings,
    num_workers: int = 1,
    on_progress: OnProgress | None = None,
) -> EmbeddedCases:
    """Return each case's embedding. Ray is started for the job where it is not running yet.

    Raises:
        ManifestError: there is no case, or an array is missing or damaged.
        CheckpointError: the encoder's folder cannot be used.
        FingerprintError: a case was prepared otherwise than the encoder's training data.
    """
    if not cases:
        raise no_cases()
    # Loaded here once already: what is wrong with it is told before any worker starts, and as
    # itself; an actor that cannot be made would only be told as dead.
    loaded = load_encoder(encoder.path, device="cpu", num_threads=encoder.num_threads)
    check_fingerprints(cases, loaded.preprocessing_fingerprint, encoder.path)
    found: dict[int, tuple[NDArray[np.float32], NDArray[np.float32]]] = {}
    num_done = 0
    with ray_running(cpus_for(num_workers)), quiet_ray_data():
        try:
            for row in _embed(cases, encoder, num_workers):
                found[int(row["start"])] = (row["embeddings"], row["probabilities"])
                num_done += len(row["embeddings"])
                if on_progress is not None:
                    on_progress(num_done, len(cases))
        except RayTaskError as error:
            raise (error.cause if isinstance(error.cause, PirtaError) else error) from None
    assert num_done == len(cases), f"{num_done} of {len(cases)} cases came back"
    batches = [found[start] for start in sorted(found)]
    return EmbeddedCases(
        cases=tuple(cases),
        embeddings_ND=np.concatenate([batch[0] for batch in batches]).astype(np.float32),
        probabilities_NK=np.concatenate([batch[1] for batch in batches]).astype(np.float32),
        encoder_sha256=loaded.sha256,
        preprocessing_fingerprint=loaded.preprocessing_fingerprint,
    )


class StudyEmbedder:
    """One worker: an encoder, and batches one after the other."""

    def __init__(self, *, encoder: EncoderSettings) -> None:
        self._encoder = load_encoder(
            encoder.path,
            device=encoder.device,
            num_threads=encoder.num_threads,
            precision=encoder.precision,
        )

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Return one row's batch: its place, with embeddings and probabilities."""
        volumes_BCXYZ = np.stack([load_volume(uri) for uri in batch["array_uris"]])
        embeddings_BD, probabilities_BK = self._encoder.embed(volumes_BCXYZ)
        return {
            "start": batch["start"],
            "embeddings": embeddings_BD,
            "probabilities": probabilities_BK,
        }


def _embed(
    cases: Sequence[PreparedCase], encoder: EncoderSettings, num_workers: int
) -> Iterator[dict[str, Any]]:
    uris = [one.array_uri for one in cases]
    batches = [
        {"start": start, "array_uris": uris[start : start + _BATCH_STUDIES]}
        for start in range(0, len(uris), _BATCH_STUDIES)
    ]
    ray.data.DataContext.get_current().raise_original_map_exception = True
    num_actors = affordable_workers(
        min(num_workers, len(batches)), memory_bytes=_WORKER_MEMORY_BYTES
    )
    dataset = ray.data.from_items(batches, override_num_blocks=len(batches)).map(
        StudyEmbedder,  # type: ignore[arg-type]  # Ray's stubs know functions only
        fn_constructor_kwargs={"encoder": encoder},
        compute=ray.data.ActorPoolStrategy(size=num_actors),
        num_cpus=1,
        num_gpus=1 if encoder.device == "cuda" else 0,
        memory=_WORKER_MEMORY_BYTES,
    )
    yield from dataset.iter_rows()


def no_cases() -> ManifestError:
    """Return the error for a cohort without a study."""
    return ManifestError(
        "There is no prepared study to embed.",
        remedy="Prepare a cohort with `pirta preprocess`, or name another split.",
    )


def check_fingerprints(cases: Sequence[PreparedCase], expected: str, path: Path) -> None:
    """Raise FingerprintError where a case was prepared otherwise than the encoder's data."""
    others = [one for one in cases if one.fingerprint != expected]
    if others:
        raise FingerprintError(
            f"{len(others)} of {len(cases)} studies were prepared as {others[0].fingerprint}, "
            f"the encoder in {path} was trained on {expected}.",
            remedy="Prepare the cohort with the encoder's preprocessing settings, "
            "or name the encoder that belongs to them.",
        )
