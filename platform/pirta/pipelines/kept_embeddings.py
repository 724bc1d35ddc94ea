"""Embed a cohort in steps that outlive a kill: what is finished is kept, and not computed again.

The cases are cut into steps by their place in the cohort. Each step is one run of `embed.py`, and
its answer one file `<encoder>-<key>.parquet` in the folder, in the form of
`pirta.evaluation.embedding_cache`. The key covers the encoder and which arrays went in, so that
another encoder, or studies that were prepared again, make files of their own.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack

import numpy as np

from pirta.cohort.prepared_store import PreparedCase
from pirta.cohort.store_files import join, read_whole, write_whole
from pirta.contracts.finding import LABELS
from pirta.evaluation.embedded_cases import EmbeddedCases as KeptCases
from pirta.evaluation.embedding_cache import embedded_bytes, parse_embedded
from pirta.models.runtime import load_encoder
from pirta.pipelines.embed import EmbeddedCases, check_fingerprints, embed_cases, no_cases
from pirta.pipelines.local_ray import cpus_for, ray_running
from pirta.settings import EncoderSettings

EMBEDDINGS = "embeddings"

# A kill costs at most one step. A multiple of the encoder's batch, so that steps cut no batch.
STEP_STUDIES = 512
# Raised when what a kept file means changes: older ones are then made anew.
_FORM = "1"

OnProgress = Callable[[int, int], None]


def embed_resumably(
    cases: Sequence[PreparedCase],
    *,
    store: str,
    folder: str,
    encoder: EncoderSettings,
    left_out: frozenset[str] = frozenset(),
    num_workers: int = 1,
    on_progress: OnProgress | None = None,
) -> EmbeddedCases:
    """Return the cases' embeddings in their order, from `folder` where it holds them.

    Args:
        store: root of the cases' store; their arrays are known by their place in it.
        left_out: ids of cases that are neither embedded nor returned. They still have a place in
            the cohort, so that the other steps stay what they are.

    Raises:
        ManifestError: no case is left, or an array or a kept file is damaged.
        CheckpointError: the encoder's folder cannot be used.
        FingerprintError: a case was prepared otherwise than the encoder's training data.
        StoreError: the folder cannot be written.
    """
    steps = list(_steps(cases, left_out))
    wanted = [one for step in steps for one in step]
    if not wanted:
        raise no_cases()
    loaded = load_encoder(encoder.path, device="cpu", num_threads=encoder.num_threads)
    check_fingerprints(wanted, loaded.preprocessing_fingerprint, encoder.path)
    found: list[KeptCases] = []
    num_done = 0

    def tell(done: int, _total: int) -> None:
        if on_progress is not None:
            on_progress(num_done + done, len(wanted))

    with ExitStack() as running:
        for step in steps:
            key = _key(step, store, loaded.sha256)
            path = join(folder, f"{loaded.sha256[:12]}-{key[:16]}.parquet")
            kept = _read(path, key)
            if kept is None:
                running.enter_context(ray_running(cpus_for(num_workers)))
                kept = _kept(
                    embed_cases(step, encoder=encoder, num_workers=num_workers, on_progress=tell)
                )
                write_whole(path, embedded_bytes(kept, key=key))
            else:
                tell(len(step), len(step))
            num_done += len(step)
            found.append(kept)
    return EmbeddedCases(
        cases=tuple(wanted),
        embeddings_ND=np.concatenate([step.embeddings_QD for step in found]),
        probabilities_NK=np.concatenate([step.probabilities_QK for step in found], dtype="float32"),
        encoder_sha256=loaded.sha256,
        preprocessing_fingerprint=loaded.preprocessing_fingerprint,
    )


def _steps(cases: Sequence[PreparedCase], left_out: frozenset[str]) -> Iterator[list[PreparedCase]]:
    for start in range(0, len(cases), STEP_STUDIES):
        step = cases[start : start + STEP_STUDIES]
        if rest := [one for one in step if one.case.case_id not in left_out]:
            yield rest


def _key(step: Sequence[PreparedCase], store: str, encoder_sha256: str) -> str:
    """Hash what decides the step's answer.

    A study that is prepared again comes to lie in another shard, so its place tells it apart.
    """
    digest = hashlib.sha256(f"{_FORM}\n{encoder_sha256}\n".encode())
    for one in step:
        place = one.array_uri.removeprefix(store.rstrip("/") + "/")
        digest.update(f"{one.case.case_id}\n{place}\n{one.fingerprint}\n".encode())
    return digest.hexdigest()


def _read(path: str, key: str) -> KeptCases | None:
    content = read_whole(path)
    return None if content is None else parse_embedded(content, key=key, where=path)


def _kept(embedded: EmbeddedCases) -> KeptCases:
    cases = [one.case for one in embedded.cases]
    return KeptCases(
        case_ids=np.array([case.case_id for case in cases]),
        patient_ids=np.array([case.patient_id for case in cases]),
        datasets=np.array([case.split for case in cases]),
        sites=np.array([case.site for case in cases]),
        scanners=np.array([case.scanner for case in cases]),
        truths_Q=np.array([LABELS.index(case.label) for case in cases]),
        lesion_ml_Q=np.full(len(cases), math.nan),
        embeddings_QD=embedded.embeddings_ND,
        probabilities_QK=embedded.probabilities_NK.astype(np.float64),
    )
