"""The core: one study in, one report out.

`report_study` joins four parts (see `ports`) and knows none of their engines, so that a test,
the service and the archive job run the same steps and the same checks. It works with one release
from beginning to end, says so in every call, and refuses an answer of another one, because their
numbers do not compare. It makes the search's policy itself; the words are `drafting`'s. It keeps
nothing and logs nothing.

Axis suffixes: K the four labels in the order of `LABELS`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pirta.contracts.access import SearchPolicy
from pirta.contracts.encoding import EncodedStudy, SearchRequest
from pirta.contracts.finding import LABELS, Label
from pirta.contracts.release import Release
from pirta.contracts.report import Provenance, Report, RetrievedCase
from pirta.contracts.study import PreparedStudy, StudyFiles
from pirta.errors import FingerprintError, NoNeighboursError, ReleaseError
from pirta.reporting.cautions import CautionLimits, cautions
from pirta.reporting.drafting import DraftingRules, draft_words
from pirta.reporting.grounding import Sources
from pirta.reporting.ports import Encoder, Preparer, Retriever, Writer
from pirta.reporting.prompt import prompt_sha256
from pirta.reporting.registry_text import history_text, nihss_text, presentation_sentence

STAGES = ("prepare", "encode", "retrieve", "write")

StageListener = Callable[[str, float], None]


async def report_study(
    study: StudyFiles,
    *,
    release: Release,
    sites: frozenset[str] | None,
    withdrawn: frozenset[str],
    settings_sha256: str,
    top_k: int,
    writer_timeout_s: float,
    preparer: Preparer,
    encoder: Encoder,
    retriever: Retriever,
    writer: Writer,
    on_stage: StageListener | None = None,
) -> Report:
    """Return the report of one study, made with the parts of one release.

    Args:
        sites: whose cases may be evidence; None is the whole network.
        withdrawn: cases that may not be, in any release.
        writer_timeout_s: after this the template answers in the writer's place.
        on_stage: told each stage of `STAGES` and its duration in seconds as it ends.

    Raises:
        InputError: the study's files cannot be used (from the preparer).
        FingerprintError: the preparer is not the release's.
        ReleaseError: the encoder or this code's prompt is not the release's.
        UnknownReleaseError: a part does not hold the release.
        NoNeighboursError: the index holds no case that this request may see.
        RegistryError: the prompt is longer than the writer takes.
    """
    check_prompt(release)
    with _timed("prepare", on_stage):
        prepared = await preparer.prepare(study)
    _check_fingerprint(prepared, release)
    with _timed("encode", on_stage):
        encoded = await encoder.encode(prepared, release_id=release.release_id)
    _check_encoder(encoded, release)
    patient_ids = frozenset(one for one in (prepared.patient_id, study.patient_id) if one)
    request = SearchRequest(
        release_id=release.release_id,
        collection=release.collection,
        embedding_D=encoded.embedding_D,
        top_k=top_k,
        policy=_policy(patient_ids, release, sites, withdrawn),
    )
    with _timed("retrieve", on_stage):
        evidence = await retriever.search(request)
    _check_evidence(evidence, request)
    label, probability = _most_probable(encoded)
    with _timed("write", on_stage):
        words = await draft_words(
            lambda prompt, answer_regex: writer.write(
                prompt, answer_regex=answer_regex, release_id=release.release_id
            ),
            Sources(study.registry, evidence, label),
            encoded.probabilities_K,
            num_quality_warnings=sum(gate.verdict == "warn" for gate in prepared.gates),
            rules=DraftingRules(release.calibration.abstention, writer_timeout_s=writer_timeout_s),
        )
    return Report(
        study_id=study.study_id,
        mode=words.mode,
        clinical_presentation=presentation_sentence(study.registry),
        nihss=nihss_text(study.registry),
        past_medical_history=history_text(study.registry),
        findings=words.findings,
        impression=words.impression,
        finding=words.finding,
        encoder_label=label,
        encoder_probability=probability,
        confidence=words.confidence,
        reasons=words.reasons,
        evidence=words.evidence,
        warnings=cautions(
            evidence=evidence,
            top_k=top_k,
            encoder_label=label,
            encoder_probability=probability,
            finding=words.finding,
            states_finding=words.mode != "abstained",
            facts=prepared.facts,
            knows_patient=bool(patient_ids),
            limits=CautionLimits(low_similarity=release.calibration.low_similarity),
        ),
        provenance=_provenance(release, settings_sha256),
    )


def _policy(
    patient_ids: frozenset[str],
    release: Release,
    sites: frozenset[str] | None,
    withdrawn: frozenset[str],
) -> SearchPolicy:
    return SearchPolicy(
        sites=sites,
        exclude_patient_ids=patient_ids,
        withdrawn=withdrawn,
        min_similarity=release.calibration.min_similarity,
        min_patients=release.calibration.min_patients,
    )


@contextmanager
def _timed(stage: str, on_stage: StageListener | None) -> Iterator[None]:
    """Tell the listener how long a stage took; a stage that failed is not told."""
    started_s = time.perf_counter()
    yield
    if on_stage is not None:
        on_stage(stage, time.perf_counter() - started_s)


def check_prompt(release: Release) -> None:
    """Raise ReleaseError where the release was made with another prompt than this code's."""
    if release.prompt_sha256 != prompt_sha256():
        raise ReleaseError(
            f"The release {release.release_id} was made with the prompt "
            f"{release.prompt_sha256[:12]}, this code holds {prompt_sha256()[:12]}.",
            remedy="Serve the code of the release's commit, or make a new release.",
        )


def _check_fingerprint(prepared: PreparedStudy, release: Release) -> None:
    if prepared.fingerprint != release.preprocessing_fingerprint:
        raise FingerprintError(
            f"The study was prepared as {prepared.fingerprint[:12]}, the index "
            f"{release.collection} as {release.preprocessing_fingerprint[:12]}.",
            remedy="Use the preprocessing settings of the release, or rebuild the index.",
        )


def _check_encoder(encoded: EncodedStudy, release: Release) -> None:
    found = (encoded.release_id, encoded.encoder_sha256)
    if found != (release.release_id, release.encoder_sha256):
        raise ReleaseError(
            f"The encoder at work is {encoded.encoder_sha256[:12]} of {encoded.release_id}, the "
            f"release {release.release_id} names {release.encoder_sha256[:12]}.",
            remedy="Stage the release anew; see the encoder's log.",
        )


def _check_evidence(evidence: tuple[RetrievedCase, ...], request: SearchRequest) -> None:
    if not evidence:
        raise NoNeighboursError(
            f"The index {request.collection} holds no case that this request may see at a "
            f"similarity of {request.policy.min_similarity:g} or more.",
            remedy="Add verified cases of other patients to the index, or see what this token's "
            "site may see (gateway.sites).",
        )
    ranked = [case.similarity for case in evidence]
    assert ranked == sorted(ranked, reverse=True), "a retriever gives the nearest case first"
    seen = {case.case_id for case in evidence}
    assert seen.isdisjoint(request.policy.withdrawn), "a withdrawn case came back"


def _most_probable(encoded: EncodedStudy) -> tuple[Label, float]:
    best = int(encoded.probabilities_K.argmax())
    return LABELS[best], min(1.0, float(encoded.probabilities_K[best]))


def _provenance(release: Release, settings_sha256: str) -> Provenance:
    return Provenance(
        release_id=release.release_id,
        commit=release.commit,
        preprocessing_fingerprint=release.preprocessing_fingerprint,
        encoder_sha256=release.encoder_sha256,
        index_collection=release.collection,
        index_sha256=release.index_sha256,
        writer_base_sha256=release.writer_base_sha256,
        writer_adapter_sha256=release.writer_adapter_sha256,
        prompt_sha256=release.prompt_sha256,
        settings_sha256=settings_sha256,
    )
