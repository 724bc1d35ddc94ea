"""A graph on which releases are switched under load, and an oracle that knows every right answer.

Gateway, encoder, retriever, writer, release control, store, Milvus and HTTP are the product's own.
Two parts are light doubles, because nothing of them is switched and they would cost three seconds
a study and half a minute a start: the preprocessor makes a volume from the number that a study's
file holds, and an engine answers the same sentence to everything. Encoders are untrained, small
and of different seeds: the same study has another embedding in each.

Axis suffixes: N rows, D embedding dimensions, C channels, X Y Z voxels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pirta.contracts.abstention import AbstentionLimits
from pirta.contracts.encoding import SearchRequest
from pirta.contracts.finding import NORMAL_SENTENCE, Label
from pirta.contracts.release import Calibration, GateResult, Release
from pirta.contracts.report import Report
from pirta.contracts.study import PreparedStudy, StudyFiles
from pirta.imaging.prepare import fingerprint
from pirta.models.checkpoint import write_manifest
from pirta.models.config import EncoderConfig, tiny
from pirta.models.encoder import TerritoryEncoder
from pirta.models.runtime import load_encoder, save_encoder
from pirta.releases.store import ReleaseStore
from pirta.reporting.answer import answer_text
from pirta.reporting.prompt import prompt_sha256
from pirta.retrieval.exact import ExactIndex
from pirta.retrieval.index import Index, IndexRow, patient_key, rows_sha256
from pirta.settings import PreprocessingSettings, QualitySettings, Settings

VOLUME_VOX = (32, 32, 16)
NUM_STUDIES = 48
NUM_ROWS = 200
TOP_K = 5
# How far a similarity may be from the oracle's: a study that shares its batch with others gets
# another last digit.
TOLERANCE = 2e-5
PREPROCESSING = PreprocessingSettings()


def volume_of(study: int) -> NDArray[np.float32]:
    """Return the volume of a study that is nothing but a number."""
    rng = np.random.default_rng(study)
    level_C111 = rng.uniform(0.2, 3.0, (2, 1, 1, 1))
    volume_CXYZ = level_C111 * rng.random((2, *VOLUME_VOX)) ** rng.uniform(0.5, 4.0)
    return volume_CXYZ.astype(np.float32)


class NumberedPreprocessor:
    """The preprocessor's double: the DWI "file" of a study is its number."""

    def __init__(
        self,
        settings: PreprocessingSettings,
        *,
        quality: QualitySettings,
        site_quality: Mapping[str, QualitySettings],
        patient_key: str | None,
    ) -> None:
        del quality, site_quality, patient_key
        self._fingerprint = fingerprint(settings)

    async def prepare(self, study: StudyFiles) -> PreparedStudy:
        """Return the volume of the study's number."""
        assert study.images.dwi is not None
        return PreparedStudy(volume_of(int(study.images.dwi)), self._fingerprint, {})


class OneSentenceEngine:
    """The engine's double: every study is normal."""

    async def answer(self, messages: list[dict[str, str]], **asked: object) -> str:
        """Return the sentence."""
        assert messages[0]["content"]
        assert asked["adapter_path"]
        assert asked["adapter_sha256"]
        return answer_text(None)

    def check_health(self) -> None:
        """It is always well."""


def start_light_engine(settings: Settings, release: Release) -> None:
    """Start the double as the engine of a release's base."""
    from ray import serve

    from serve_apps.engines import engine_app_name

    del settings
    deployment = serve.deployment(
        OneSentenceEngine, name="Engine", ray_actor_options={"num_cpus": 0}, max_ongoing_requests=64
    )
    serve.run(
        deployment.bind(), name=engine_app_name(release.writer_base_sha256), route_prefix=None
    )


@dataclass(frozen=True)
class Answer:
    """What a request has to find: case ids with their similarities, nearest first.

    Attributes:
        smallest_gap: between two that follow each other, the first case left out included.
    """

    case_ids: tuple[str, ...]
    similarities: tuple[float, ...]
    smallest_gap: float

    def agrees(self, report: Report) -> bool:
        """Say whether a report's evidence is this answer."""
        found = [case.similarity for case in report.evidence]
        return self.case_ids == tuple(case.case_id for case in report.evidence) and bool(
            np.allclose(self.similarities, found, atol=TOLERANCE, rtol=0)
        )


class Oracle:
    """Every release's right answer to every study, by the exact index."""

    def __init__(self) -> None:
        self._index = ExactIndex()
        self._embeddings: dict[str, list[NDArray[np.float32]]] = {}
        self._collections: dict[str, str] = {}
        self._answers: dict[tuple[str, int], Answer] = {}

    def add(self, release: Release, rows: list[IndexRow]) -> None:
        """Take a release in."""
        encoder = load_encoder(Path(release.encoder_path), device="cpu", num_threads=1)
        self._index.create(release.collection, release.dimensions)
        self._index.upsert(release.collection, rows)
        self._collections[release.release_id] = release.collection
        self._embeddings[release.release_id] = [
            encoder.embed(volume_of(study)[np.newaxis])[0][0] for study in range(NUM_STUDIES)
        ]

    def answer(self, release_id: str, study: int) -> Answer:
        """Return what a release has to answer to a study."""
        key = (release_id, study)
        if key not in self._answers:
            found = self._index.search(
                SearchRequest(
                    release_id=release_id,
                    collection=self._collections[release_id],
                    embedding_D=self._embeddings[release_id][study],
                    top_k=TOP_K + 1,
                )
            )
            similarities = tuple(case.similarity for case in found)
            self._answers[key] = Answer(
                tuple(case.case_id for case in found[:TOP_K]),
                similarities[:TOP_K],
                smallest_gap=float(-np.diff(similarities).max()),
            )
        return self._answers[key]

    def studies(self) -> list[int]:
        """Return the studies whose answers in every release leave no doubt about the order."""
        clear = [
            study
            for study in range(NUM_STUDIES)
            if all(self.answer(one, study).smallest_gap > 4 * TOLERANCE for one in self._embeddings)
        ]
        assert len(clear) > NUM_STUDIES / 2, f"{len(clear)} of {NUM_STUDIES}: choose other seeds"
        return clear


def make_release(folder: Path, seed: int, *, index: Index, oracle: Oracle, base: str) -> Release:
    """Make a release of its own encoder and collection, and tell the oracle of it."""
    encoder_path = folder / f"encoder-{seed}"
    encoder_sha256 = _save_untrained(encoder_path, seed)
    rng = np.random.default_rng(1000 + seed)
    rows_ND = rng.standard_normal((NUM_ROWS, tiny().dimensions))
    rows = [_row(at, (row_D / np.linalg.norm(row_D)).astype(np.float32))
            for at, row_D in enumerate(rows_ND)]  # fmt: skip
    content, base_sha256 = rows_sha256(rows), base.ljust(64, "0")
    release = Release(
        encoder_path=str(encoder_path),
        encoder_sha256=encoder_sha256,
        preprocessing_fingerprint=fingerprint(PREPROCESSING),
        collection=f"cases_{content[:16]}",
        index_sha256=content,
        num_cases=len(rows),
        dimensions=tiny().dimensions,
        writer_base_path=str(folder),
        writer_base_sha256=base_sha256,
        writer_adapter_path=str(folder / f"adapter-{seed}"),
        writer_adapter_sha256=_save_adapter(folder / f"adapter-{seed}", seed, base_sha256),
        prompt_sha256=prompt_sha256(),
        # An untrained encoder is sure of nothing, and every report is to reach the engine.
        calibration=Calibration(
            abstention=AbstentionLimits(min_top_similarity=-1, min_confidence=0)
        ),
        commit="bench",
    )
    if not index.exists(release.collection):
        index.create(release.collection, release.dimensions)
        index.upsert(release.collection, rows)
    oracle.add(release, rows)
    return release


def verify(store: ReleaseStore, release: Release) -> str:
    """Put a release into the store as verified: its gates are not what is tried here."""
    store.add(release, actor="bench")
    gate = GateResult(name="made_for_a_switch", passed=True, value=1, limit=1)
    store.record_gates(release.release_id, (gate,), actor="bench")
    return release.release_id


def _save_untrained(folder: Path, seed: int) -> str:
    import torch

    folder.mkdir()
    torch.manual_seed(seed)
    config = EncoderConfig(**{**tiny().model_dump(), "volume_vox": VOLUME_VOX})
    return save_encoder(
        folder,
        TerritoryEncoder(config),
        run={"seed": seed},
        data_sha256="none",
        preprocessing_fingerprint=fingerprint(PREPROCESSING),
        metrics={},
        command="bench",
    ).sha256


def _save_adapter(folder: Path, seed: int, base_sha256: str) -> str:
    folder.mkdir()
    (folder / "adapter_config.json").write_text(f'{{"seed": {seed}}}', encoding="utf-8")
    nothing: dict[str, Any] = {}
    return write_manifest(
        folder,
        kind="writer_adapter",
        config={"base_sha256": base_sha256},
        run=nothing,
        data_sha256="none",
        preprocessing_fingerprint=None,
        metrics={},
        command="bench",
    ).sha256


def _row(at: int, embedding_D: NDArray[np.float32]) -> IndexRow:
    # The same ids in every release: a case of another release's collection is not told by its name.
    return IndexRow(
        case_id=f"case-{at:03d}",
        patient_key=patient_key(f"patient-{at:03d}"),
        site=("north", "south")[at % 2],
        scanner="bench",
        label=Label.NORMAL,
        finding=None,
        findings_text=NORMAL_SENTENCE,
        report_text="",
        origin="build",
        release_id="",
        added_on="2026-01-01",
        embedding_D=embedding_D,
    )
