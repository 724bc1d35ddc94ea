"""The systems that are measured side by side, each as one function from a question to a report.

- product: what the service does: neighbours, writer, grounding, abstention.
- no abstention: the same with limits that let everything pass.
- no grounding: the writer alone, unchecked, but held to the form; the naive writer.
- free decoding: that writer without a constraint on its form.
- top 1: the product with one neighbour.
- no retrieval: the writer alone with a prompt that holds no neighbour.
- classifier template: the classifier's label, in the commonest sentence of that label.
- first neighbour, majority: rules on the neighbours.

Every report becomes the text that would leave. What it is worth is measured in
`pirta.evaluation.writer_evaluation`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace

from pirta.contracts.abstention import AbstentionLimits
from pirta.contracts.finding import Finding, Label
from pirta.contracts.report import Provenance, Report
from pirta.contracts.study import Registry
from pirta.evaluation.writer_evaluation import SystemRoles
from pirta.evaluation.writer_reports import ToldReport
from pirta.reporting.answer import ANSWER_REGEX, answer_text
from pirta.reporting.consensus import consensus, without_side
from pirta.reporting.drafting import DraftingRules, draft_words
from pirta.reporting.grounding import Draft, ground
from pirta.reporting.prompt import build_prompt, prompt_template
from pirta.reporting.registry_text import (
    history_text,
    nihss_text,
    presentation_sentence,
    registry_line,
)
from pirta.reporting.render import render_text
from pirta.reporting.template_report import Words
from train_jobs.writer_engine import AnswerEngine
from train_jobs.writer_queries import WriterQuery

PRODUCT, ALWAYS, NAIVE = "product", "no abstention", "no grounding"
FREE, TOP_1, NO_RETRIEVAL = "free decoding", "top 1", "no retrieval"
CLASSIFIER, FIRST, MAJORITY = "classifier template", "first neighbour", "majority"

ROLES = SystemRoles(
    product=PRODUCT, always=ALWAYS, naive=NAIVE, baselines=(CLASSIFIER, FIRST, MAJORITY)
)
POISONED = (PRODUCT, ALWAYS, NAIVE, FIRST, MAJORITY)
"""The systems that are asked with poisoned neighbours."""

NO_LIMITS = AbstentionLimits(
    min_top_similarity=-1, min_mean_similarity=-1, min_confidence=0, quality_factor=1
)
# Nothing is late here: many questions wait for one engine, and time is not what is measured.
_TIMEOUT_S = 3600.0

System = Callable[[WriterQuery], Awaitable[ToldReport]]


@dataclass(frozen=True)
class SystemParts:
    """What systems are made of; `usual` holds each label's commonest finding."""

    engine: AnswerEngine
    limits: AbstentionLimits
    usual: Mapping[Label, Finding | None]


def systems(parts: SystemParts) -> dict[str, System]:
    """Return every system by its name."""
    product = _drafting(parts.engine, DraftingRules(parts.limits, _TIMEOUT_S))

    async def top_1(query: WriterQuery) -> ToldReport:
        nearest = replace(query.case, evidence=query.case.evidence[:1])
        return await product(replace(query, case=nearest))

    return {
        PRODUCT: product,
        ALWAYS: _drafting(parts.engine, DraftingRules(NO_LIMITS, _TIMEOUT_S)),
        NAIVE: _alone(parts.engine, _prompt_of_evidence, ANSWER_REGEX),
        FREE: _alone(parts.engine, _prompt_of_evidence, None),
        TOP_1: top_1,
        NO_RETRIEVAL: _alone(parts.engine, prompt_without_neighbours, ANSWER_REGEX),
        CLASSIFIER: _rule(lambda query: _usual_finding(query, parts.usual)),
        FIRST: _rule(lambda query: without_side(query.case.evidence[0].finding)),
        MAJORITY: _rule(lambda query: consensus(query.case.evidence).finding),
    }


def prompt_without_neighbours(query: WriterQuery) -> str:
    """Return Table 3's prompt with an empty list of reports, which no release ever asks."""
    head, tail = prompt_template().split("{reports}")
    return (head.replace("{registry}", registry_line(query.case.registry)) + tail).rstrip("\n")


def _usual_finding(query: WriterQuery, usual: Mapping[Label, Finding | None]) -> Finding | None:
    """The template of the classifier's label; of one that the index lacks, the neighbours'."""
    label = query.case.encoder_label
    return usual[label] if label in usual else consensus(query.case.evidence).finding


def _prompt_of_evidence(query: WriterQuery) -> str:
    return build_prompt(query.case.registry, query.case.evidence).user


def _drafting(engine: AnswerEngine, rules: DraftingRules) -> System:
    async def report(query: WriterQuery) -> ToldReport:
        words = await draft_words(
            lambda prompt, regex: engine.answer(prompt.user, regex=regex),
            query.sources,
            query.probabilities_K,
            num_quality_warnings=query.num_quality_warnings,
            rules=rules,
        )
        return _told(words, query)

    return report


def _alone(
    engine: AnswerEngine, prompt_of: Callable[[WriterQuery], str], regex: str | None
) -> System:
    async def report(query: WriterQuery) -> ToldReport:
        return _unchecked(await engine.answer(prompt_of(query), regex=regex), query)

    return report


def _rule(finding_of: Callable[[WriterQuery], Finding | None]) -> System:
    async def report(query: WriterQuery) -> ToldReport:
        return _unchecked(answer_text(finding_of(query)), query)

    return report


def _told(words: Words, query: WriterQuery) -> ToldReport:
    """Return the words as the report that leaves: the contract is asked, and the text rendered."""
    case, probabilities_K = query.case, query.probabilities_K
    parts = _parts(case.registry, words.findings, words.impression)
    report = Report(
        study_id=case.case_id,
        mode=words.mode,
        clinical_presentation=parts.clinical_presentation,
        nihss=parts.nihss,
        past_medical_history=parts.past_medical_history,
        findings=words.findings,
        impression=words.impression,
        finding=words.finding,
        encoder_label=case.encoder_label,
        encoder_probability=min(1.0, float(probabilities_K.max())),
        confidence=words.confidence,
        reasons=words.reasons,
        evidence=words.evidence,
        # Of no release: the text, which alone is looked at, does not show it.
        provenance=Provenance(**dict.fromkeys(Provenance.model_fields, "evaluation")),
    )
    # An abstention states nothing that could contradict a source.
    found = () if words.mode == "abstained" else ground(parts, query.sources).contradictions
    return ToldReport(
        text=render_text(report),
        mode=words.mode,
        confidence=words.confidence,
        contradictions=tuple(one.code for one in found),
        reasons=tuple(reason.code for reason in words.reasons),
    )


def _unchecked(answer: str, query: WriterQuery) -> ToldReport:
    """Return an answer, in form or not, below the registry's parts, and which rules it breaks."""
    findings, _, impression = answer.partition("\nImpression: ")
    parts = _parts(query.case.registry, findings.removeprefix("Findings: "), impression)
    text = (
        f"Clinical Presentation: {parts.clinical_presentation}\nNIHSS: {parts.nihss}\n"
        f"Past Medical History: {parts.past_medical_history}\n{answer}"
    )
    found = ground(parts, query.sources).contradictions
    return ToldReport(text=text, contradictions=tuple(one.code for one in found))


def _parts(registry: Registry, findings: str, impression: str) -> Draft:
    return Draft(
        clinical_presentation=presentation_sentence(registry),
        nihss=nihss_text(registry),
        past_medical_history=history_text(registry),
        findings=findings,
        impression=impression,
    )
