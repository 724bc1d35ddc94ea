"""Plain objects in place of the engines, and a study, for the tests of this room."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from pirta.contracts.encoding import EncodedStudy, SearchRequest
from pirta.contracts.finding import (
    LABELS,
    Finding,
    InfarctType,
    Label,
    LesionClass,
    Territory,
    finding_sentence,
    label_of,
)
from pirta.contracts.quality import GateResult
from pirta.contracts.release import Release
from pirta.contracts.report import Report, RetrievedCase
from pirta.contracts.study import PreparedStudy, Registry, StudyFiles, StudyImages
from pirta.reporting.answer import answer_text
from pirta.reporting.prompt import Prompt, prompt_sha256
from pirta.reporting.study_report import StageListener, report_study

HASH = "0123456789abcdef" * 4
ANTERIOR = Finding(
    lesion_class=LesionClass.MILD,
    infarct_type=InfarctType.WEDGE_VASCULAR,
    territory=Territory.ANTERIOR,
)
DEEP = Finding(
    lesion_class=LesionClass.STRONG,
    infarct_type=InfarctType.SMALL_LACUNE,
    territory=Territory.DEEP_GRAY,
)
# The paper's Table 3.
REGISTRY = Registry(
    age_years=75,
    sex="Female",
    presentation="Altered Mentality",
    nihss=32,
    history=("HTN", "Afib"),
)
STUDY = StudyFiles(
    "study-1", "site-a", StudyImages(b"dwi", b"adc"), REGISTRY, patient_id="patient-1"
)


def case(finding: Finding | None, similarity: float, number: int = 0) -> RetrievedCase:
    return RetrievedCase(
        case_id=f"case-{number}",
        site="site-b",
        similarity=similarity,
        label=label_of(finding),
        finding=finding,
        findings_text=finding_sentence(finding),
    )


def cases(*findings: Finding | None, top: float = 0.87) -> tuple[RetrievedCase, ...]:
    return tuple(case(item, top - 0.01 * rank, rank) for rank, item in enumerate(findings))


def release(**changes: object) -> Release:
    values: dict[str, object] = {
        "encoder_path": "encoder",
        "encoder_sha256": "e" * 64,
        "preprocessing_fingerprint": "f" * 64,
        "collection": "cases_1",
        "index_sha256": "1" * 64,
        "num_cases": 5,
        "dimensions": 4,
        "writer_base_path": "base",
        "writer_base_sha256": "b" * 64,
        "writer_adapter_path": "adapter",
        "writer_adapter_sha256": "a" * 64,
        "prompt_sha256": prompt_sha256(),
        "commit": "c" * 40,
    }
    return Release.model_validate(values | changes)


@dataclass
class Parts:
    """All four parts in one plain object, remembering what they were asked.

    Attributes:
        release_id: what the encoder says that it worked for; the request's where empty.
    """

    evidence: Sequence[RetrievedCase] = cases(*[ANTERIOR] * 5)
    text: str = answer_text(ANTERIOR)
    writer_fault: Exception | None = None
    pause_s: float = 0.0
    label: Label = Label.ANTERIOR
    fingerprint: str = "f" * 64
    encoder_sha256: str = "e" * 64
    release_id: str = ""
    facts: dict[str, float | str | bool] = field(default_factory=dict)
    gates: tuple[GateResult, ...] = ()
    patient_id: str | None = None
    requests: list[SearchRequest] = field(default_factory=list)
    prompts: list[Prompt] = field(default_factory=list)
    written_for: list[str] = field(default_factory=list)
    patterns: list[str] = field(default_factory=list)

    async def prepare(self, study: StudyFiles) -> PreparedStudy:
        del study
        volume_CXYZ = np.zeros((2, 4, 4, 4), np.float32)
        return PreparedStudy(volume_CXYZ, self.fingerprint, self.facts, self.gates, self.patient_id)

    async def encode(self, prepared: PreparedStudy, *, release_id: str) -> EncodedStudy:
        del prepared
        probabilities_K = np.full(4, 0.1, np.float32)
        probabilities_K[LABELS.index(self.label)] = 0.7
        return EncodedStudy(
            np.eye(4, dtype=np.float32)[0],
            probabilities_K,
            self.encoder_sha256,
            self.release_id or release_id,
        )

    async def search(self, request: SearchRequest) -> tuple[RetrievedCase, ...]:
        self.requests.append(request)
        return tuple(self.evidence)

    async def write(self, prompt: Prompt, *, answer_regex: str, release_id: str) -> str:
        self.prompts.append(prompt)
        self.patterns.append(answer_regex)
        self.written_for.append(release_id)
        await asyncio.sleep(self.pause_s)
        if self.writer_fault is not None:
            raise self.writer_fault
        return self.text


async def report(
    parts: Parts,
    *,
    study: StudyFiles = STUDY,
    on_stage: StageListener | None = None,
    sites: frozenset[str] | None = None,
    withdrawn: frozenset[str] = frozenset(),
    writer_timeout_s: float = 5.0,
    **changes: object,
) -> Report:
    return await report_study(
        study,
        release=release(**changes),
        sites=sites,
        withdrawn=withdrawn,
        settings_sha256=HASH,
        top_k=5,
        writer_timeout_s=writer_timeout_s,
        preparer=parts,
        encoder=parts,
        retriever=parts,
        writer=parts,
        on_stage=on_stage,
    )
