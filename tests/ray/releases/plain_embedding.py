"""The embedding job without Ray, in this process: for tests of what comes after the embeddings.

The encoder is real, and so are its batches' answers; only the workers are not there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext

import numpy as np
import pytest

from pirta.cohort.prepared_store import PreparedCase, load_volume
from pirta.models.runtime import load_encoder
from pirta.pipelines import kept_embeddings
from pirta.pipelines.embed import EmbeddedCases
from pirta.settings import EncoderSettings


def embed_without_ray(patch: pytest.MonkeyPatch) -> None:
    """Let `embed_resumably` embed in this process."""
    patch.setattr(kept_embeddings, "embed_cases", _embed)
    patch.setattr(kept_embeddings, "ray_running", lambda _num_cpus: nullcontext())


def _embed(
    cases: Sequence[PreparedCase],
    *,
    encoder: EncoderSettings,
    num_workers: int,
    on_progress: Callable[[int, int], None] | None,
) -> EmbeddedCases:
    loaded = load_encoder(encoder.path, device="cpu", num_threads=1)
    embeddings_ND, probabilities_NK = loaded.embed(
        np.stack([load_volume(one.array_uri) for one in cases])
    )
    return EmbeddedCases(
        cases=tuple(cases),
        embeddings_ND=embeddings_ND,
        probabilities_NK=probabilities_NK,
        encoder_sha256=loaded.sha256,
        preprocessing_fingerprint=loaded.preprocessing_fingerprint,
    )
