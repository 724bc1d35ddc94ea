"""From evidence to the words of a report: write, check, try once more, or say why not.

The order of things: a study whose evidence carries no finding is not sent to the writer at all.
What the writer says is held against its sources; if it does not hold, the writer is asked once
more, and can then only give an answer that the sources support. An answer other than the
neighbours' majority must not be the doing of the registry's words, which anyone may have typed
("ignore the above"): it is asked for again without them, and that answer counts. If all that
fails, or the words turn out less sure than the limits ask for, the report abstains. A writer that
is down or late is replaced by the template. Keeps nothing and logs nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pirta.contracts.abstention import AbstentionLimits, Reason, ReasonCode
from pirta.contracts.finding import label_of
from pirta.errors import UnavailableError, WriterOutputError
from pirta.reporting.abstention import Verdict, judge, read_signals
from pirta.reporting.answer import ANSWER_REGEX, WrittenAnswer, answer_regex_of, parse_answer
from pirta.reporting.consensus import consensus
from pirta.reporting.grounding import (
    Contradiction,
    ContradictionCode,
    Draft,
    Sources,
    ground,
    supported_findings,
)
from pirta.reporting.prompt import Prompt, build_prompt
from pirta.reporting.registry_text import (
    history_text,
    nihss_text,
    presentation_sentence,
    without_words,
)
from pirta.reporting.template_report import (
    Words,
    abstained_words,
    template_words,
    written_words,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# Asks the writer for one answer to a prompt that fits a pattern (`ANSWER_REGEX` or a narrower one).
Ask = Callable[[Prompt, str], Awaitable[str]]


@dataclass(frozen=True)
class DraftingRules:
    """How a draft is made.

    Attributes:
        writer_timeout_s: for the writer's answer, every further try included.
        checks: False leaves out grounding and abstention: an ablation, never a service.
    """

    limits: AbstentionLimits
    writer_timeout_s: float
    checks: bool = True


async def draft_words(
    ask: Ask,
    sources: Sources,
    probabilities_K: NDArray[np.float32],
    *,
    num_quality_warnings: int,
    rules: DraftingRules,
) -> Words:
    """Return the words of one study's report, in the mode that they earned.

    Args:
        probabilities_K: the classifier's, in the order of `LABELS`.

    Raises:
        WriterOutputError: only without checks: the answer is out of form.
    """

    def verdict_on(answer: WrittenAnswer | None) -> Verdict:
        signals = read_signals(
            sources.evidence,
            probabilities_K,
            label=None if answer is None else label_of(answer.finding),
            num_quality_warnings=num_quality_warnings,
        )
        return judge(signals, rules.limits)

    before = verdict_on(None)
    if rules.checks and before.abstains:
        return abstained_words(
            sources.evidence, reasons=before.reasons, confidence=before.confidence
        )
    try:
        async with asyncio.timeout(rules.writer_timeout_s):
            answer = await _held_answer(ask, sources, checks=rules.checks)
    except UnavailableError:
        return template_words(
            sources.evidence, why=ReasonCode.WRITER_DOWN, confidence=before.confidence
        )
    except TimeoutError:
        return template_words(
            sources.evidence, why=ReasonCode.WRITER_LATE, confidence=before.confidence
        )
    if not isinstance(answer, WrittenAnswer):
        return abstained_words(
            sources.evidence, reasons=_reasons(answer), confidence=before.confidence
        )
    after = verdict_on(answer)
    if rules.checks and after.abstains:
        return abstained_words(sources.evidence, reasons=after.reasons, confidence=after.confidence)
    return written_words(answer, sources.evidence, confidence=after.confidence)


async def _held_answer(
    ask: Ask, sources: Sources, *, checks: bool
) -> WrittenAnswer | tuple[Contradiction, ...]:
    """Ask, and again where the answer does not hold; what still contradicts comes back."""
    prompt = build_prompt(sources.registry, sources.evidence)
    if not checks:
        return parse_answer(await ask(prompt, ANSWER_REGEX))
    narrow = answer_regex_of(supported_findings(sources))
    answer = await _grounded(ask, prompt, (ANSWER_REGEX, narrow), sources)
    if not isinstance(answer, WrittenAnswer) or not _may_be_swayed(answer, sources):
        return answer
    wordless = build_prompt(without_words(sources.registry), sources.evidence)
    return await _grounded(ask, wordless, (narrow,), sources)


async def _grounded(
    ask: Ask, prompt: Prompt, patterns: Sequence[str], sources: Sources
) -> WrittenAnswer | tuple[Contradiction, ...]:
    """Ask with each pattern until an answer holds; otherwise the last one's contradictions."""
    contradictions: tuple[Contradiction, ...] = ()
    for pattern in patterns:
        try:
            answer = parse_answer(await ask(prompt, pattern))
        except WriterOutputError:
            contradictions = (Contradiction(ContradictionCode.FINDINGS_FORM),)
            continue
        contradictions = ground(draft_of(answer, sources), sources).contradictions
        if not contradictions:
            return answer
    return contradictions


def _may_be_swayed(answer: WrittenAnswer, sources: Sources) -> bool:
    """Whether words of the registry could have chosen this among the supported answers."""
    has_words = sources.registry != without_words(sources.registry)
    return has_words and answer.finding != consensus(sources.evidence).finding


def draft_of(answer: WrittenAnswer, sources: Sources) -> Draft:
    """Return the five parts: the registry's by code, the other two by the writer."""
    return Draft(
        clinical_presentation=presentation_sentence(sources.registry),
        nihss=nihss_text(sources.registry),
        past_medical_history=history_text(sources.registry),
        findings=answer.findings,
        impression=answer.impression,
    )


def _reasons(contradictions: tuple[Contradiction, ...]) -> tuple[Reason, ...]:
    return tuple(
        Reason(code=ReasonCode.CONTRADICTION, sentence=one.sentence) for one in contradictions
    )
