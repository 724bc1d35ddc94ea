"""Strategies and builders for what leaves: any evidence, any finding, and a report of each mode."""

from __future__ import annotations

import itertools

from hypothesis import strategies as st

from pirta.contracts.abstention import Reason, ReasonCode
from pirta.contracts.finding import Finding, InfarctType, Label, LesionClass, Territory
from pirta.contracts.report import Provenance, Report, RetrievedCase
from pirta.contracts.study import Registry
from pirta.reporting.answer import WrittenAnswer, answer_text, parse_answer
from pirta.reporting.registry_text import history_text, nihss_text, presentation_sentence
from pirta.reporting.template_report import (
    Words,
    abstained_words,
    template_words,
    written_words,
)
from tests.unit.reporting.examples import ANTERIOR, DEEP, HASH, REGISTRY, case, cases

POSTERIOR = Finding(
    lesion_class=LesionClass.STRONG,
    infarct_type=InfarctType.LARGE_VASCULAR,
    territory=Territory.POSTERIOR,
)
LEGAL: list[Finding | None] = [
    None,
    *(
        Finding(lesion_class=lesion_class, infarct_type=infarct_type, territory=territory)
        for lesion_class, infarct_type, territory in itertools.product(
            LesionClass, InfarctType, Territory
        )
    ),
]
WHY = Reason(code=ReasonCode.LOW_SIMILARITY, sentence="The nearest case is far.")

any_finding = st.sampled_from(LEGAL)
any_label = st.sampled_from(list(Label))


@st.composite
def any_evidence(draw: st.DrawFn) -> tuple[RetrievedCase, ...]:
    """One to seven neighbours of any findings, nearest first."""
    similarities = sorted(
        draw(st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=7)), reverse=True
    )
    return tuple(
        case(draw(any_finding), similarity, rank) for rank, similarity in enumerate(similarities)
    )


def answer(finding: Finding | None) -> WrittenAnswer:
    return parse_answer(answer_text(finding))


def report_of(words: Words, *, registry: Registry = REGISTRY, **changes: object) -> Report:
    values: dict[str, object] = {
        "study_id": "study-1",
        "clinical_presentation": presentation_sentence(registry),
        "nihss": nihss_text(registry),
        "past_medical_history": history_text(registry),
        "encoder_label": Label.NORMAL,
        "encoder_probability": 0.55,
        "warnings": ("The similar cases disagree: 3 normal, 2 anterior.",),
        "provenance": PROVENANCE,
        **{name: getattr(words, name) for name in Words.__dataclass_fields__},
    }
    return Report.model_validate(values | changes)


PROVENANCE = Provenance(
    release_id="rel-1",
    commit="c" * 40,
    preprocessing_fingerprint="f" * 64,
    encoder_sha256=HASH,
    index_collection="cases_1",
    index_sha256=HASH,
    writer_base_sha256=HASH,
    writer_adapter_sha256=HASH,
    prompt_sha256=HASH,
    settings_sha256=HASH,
)
MIXED = cases(None, ANTERIOR, None, DEEP, None)


def written() -> Report:
    return report_of(written_words(answer(None), MIXED, confidence=0.9))


def template() -> Report:
    return report_of(template_words(MIXED, why=ReasonCode.WRITER_LATE, confidence=0.8))


def abstained(registry: Registry = REGISTRY) -> Report:
    return report_of(abstained_words(MIXED, reasons=[WHY], confidence=0.4), registry=registry)
