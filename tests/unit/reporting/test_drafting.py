"""A report in the mode that it earned: written, from the template, or abstained."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest

from pirta.contracts.abstention import AbstentionLimits
from pirta.contracts.finding import LABELS, Finding, Label, LesionClass
from pirta.contracts.report import ABSTAINED_FINDINGS
from pirta.errors import UnavailableError, WriterOutputError
from pirta.reporting.answer import ANSWER_REGEX, answer_text
from pirta.reporting.drafting import DraftingRules, draft_words
from pirta.reporting.grounding import Sources
from pirta.reporting.prompt import Prompt, build_prompt
from pirta.reporting.registry_text import without_words
from pirta.reporting.template_report import Words
from tests.unit.reporting.drafts import POSTERIOR
from tests.unit.reporting.examples import ANTERIOR, DEEP, REGISTRY, cases

OTHER = ANTERIOR.model_copy(update={"lesion_class": LesionClass.STRONG})
LIMITS = AbstentionLimits(min_confidence=0.7)


@dataclass
class PlainWriter:
    """Gives its answers in turn, an error where one stands; remembers the patterns asked for."""

    answers: Sequence[str | Exception]
    pause_s: float = 0.0
    patterns: list[str] = field(default_factory=list)
    prompts: list[Prompt] = field(default_factory=list)

    async def __call__(self, prompt: Prompt, pattern: str) -> str:
        self.prompts.append(prompt)
        self.patterns.append(pattern)
        await asyncio.sleep(self.pause_s)
        answer = self.answers[len(self.patterns) - 1]
        if isinstance(answer, Exception):
            raise answer
        return answer


async def draft(
    writer: PlainWriter,
    *findings: Finding | None,
    label: Label = Label.ANTERIOR,
    top: float = 0.9,
    checks: bool = True,
    num_quality_warnings: int = 0,
) -> Words:
    probabilities_K = np.full(4, 0.02, np.float32)
    probabilities_K[LABELS.index(label)] = 0.94
    evidence = cases(*(findings or [ANTERIOR] * 5), top=top)
    return await draft_words(
        writer,
        Sources(REGISTRY, evidence, label),
        probabilities_K,
        num_quality_warnings=num_quality_warnings,
        rules=DraftingRules(LIMITS, writer_timeout_s=0.5, checks=checks),
    )


def codes(words: Words) -> list[str]:
    return [reason.code.value for reason in words.reasons]


async def test_an_answer_that_holds_is_written_as_it_is() -> None:
    writer = PlainWriter([answer_text(ANTERIOR)])
    words = await draft(writer)
    assert (words.mode, words.finding, words.reasons) == ("written", ANTERIOR, ())
    assert writer.prompts == [build_prompt(REGISTRY, cases(*[ANTERIOR] * 5, top=0.9))]
    assert writer.patterns == [ANSWER_REGEX]
    assert words.confidence == pytest.approx(0.94**0.5)


async def test_a_contradiction_is_repaired_once_by_an_answer_that_the_sources_support() -> None:
    writer = PlainWriter([answer_text(POSTERIOR), answer_text(ANTERIOR)])
    words = await draft(writer)
    assert (words.mode, words.finding) == ("written", ANTERIOR)
    assert writer.patterns[1] == f"({answer_text(ANTERIOR)})".replace(".", r"\.")


async def test_a_second_contradiction_ends_as_an_abstention_with_its_reason() -> None:
    writer = PlainWriter([answer_text(POSTERIOR), answer_text(POSTERIOR)])
    words = await draft(writer)
    assert words.mode == "abstained"
    assert set(codes(words)) == {"contradiction"}
    assert words.findings == ABSTAINED_FINDINGS
    assert len(writer.patterns) == 2


async def test_text_out_of_form_is_tried_again_and_then_ends_as_an_abstention() -> None:
    words = await draft(PlainWriter(["Dear colleague", answer_text(ANTERIOR)]))
    assert words.mode == "written"
    words = await draft(PlainWriter(["Dear colleague", "Dear colleague"]))
    assert (words.mode, codes(words)) == ("abstained", ["contradiction"])


async def test_a_poisoned_neighbour_that_the_writer_copies_does_not_leave() -> None:
    writer = PlainWriter([answer_text(POSTERIOR), answer_text(ANTERIOR)])
    words = await draft(writer, POSTERIOR, ANTERIOR, ANTERIOR, ANTERIOR, ANTERIOR)
    assert words.finding == ANTERIOR


async def test_evidence_that_carries_no_finding_is_not_sent_to_the_writer() -> None:
    writer = PlainWriter([])
    words = await draft(writer, top=0.46)
    assert (words.mode, codes(words)) == ("abstained", ["low_similarity"])
    assert writer.patterns == []
    assert len(words.evidence) == 5


async def test_the_classifier_against_all_neighbours_ends_as_an_abstention() -> None:
    words = await draft(PlainWriter([]), label=Label.POSTERIOR)
    assert codes(words) == ["encoder_disagrees"]


async def test_quality_warnings_silence_a_case_that_is_not_sure_without_them() -> None:
    votes = [ANTERIOR, ANTERIOR, ANTERIOR, DEEP, DEEP]
    assert (await draft(PlainWriter([answer_text(ANTERIOR)]), *votes)).mode == "written"
    words = await draft(PlainWriter([]), *votes, num_quality_warnings=3)
    assert codes(words) == ["neighbours_disagree", "quality_warning"]


async def test_words_less_sure_than_the_majority_are_judged_by_themselves() -> None:
    votes = [ANTERIOR, ANTERIOR, ANTERIOR, DEEP, DEEP]
    writer = PlainWriter([answer_text(DEEP)] * 2)
    words = await draft(writer, *votes)
    assert words.mode == "abstained"  # supported by two neighbours, and by nothing else
    assert words.confidence < 0.2


async def test_an_answer_beside_the_majority_is_asked_for_without_the_registrys_words() -> None:
    votes = [ANTERIOR, ANTERIOR, ANTERIOR, OTHER]
    for second in (OTHER, ANTERIOR):
        writer = PlainWriter([answer_text(OTHER), answer_text(second)])
        words = await draft(writer, *votes)
        assert (words.mode, words.finding) == ("written", second)
        evidence = cases(*votes, top=0.9)
        assert writer.prompts == [
            build_prompt(REGISTRY, evidence),
            build_prompt(without_words(REGISTRY), evidence),
        ]


async def test_a_wordless_answer_that_does_not_hold_ends_as_an_abstention() -> None:
    writer = PlainWriter([answer_text(OTHER), answer_text(POSTERIOR)])
    words = await draft(writer, ANTERIOR, ANTERIOR, ANTERIOR, OTHER)
    assert (words.mode, set(codes(words))) == ("abstained", {"contradiction"})


@pytest.mark.parametrize(
    ("writer", "code"),
    [
        (PlainWriter([UnavailableError("No replica.", remedy="Wait.")]), "writer_down"),
        (PlainWriter([answer_text(ANTERIOR)], pause_s=5.0), "writer_late"),
    ],
    ids=["down", "late"],
)
async def test_a_writer_that_is_down_or_late_is_replaced_by_the_majority_in_the_template(
    writer: PlainWriter, code: str
) -> None:
    words = await draft(writer, ANTERIOR, None, ANTERIOR, ANTERIOR, ANTERIOR)
    assert (words.mode, codes(words)) == ("template", [code])
    assert words.findings == ANTERIOR.sentence()
    assert words.impression == "Acute infarction"


async def test_a_writer_that_goes_down_before_its_second_try_is_replaced_too() -> None:
    fault = UnavailableError("No replica.", remedy="Wait.")
    words = await draft(PlainWriter([answer_text(POSTERIOR), fault]))
    assert codes(words) == ["writer_down"]


async def test_the_template_does_not_speak_where_the_evidence_carries_no_finding() -> None:
    fault = UnavailableError("No replica.", remedy="Wait.")
    assert (await draft(PlainWriter([fault]), top=0.46)).mode == "abstained"


async def test_without_checks_whatever_is_in_form_leaves() -> None:
    words = await draft(PlainWriter([answer_text(POSTERIOR)]), top=0.3, checks=False)
    assert (words.mode, words.finding) == ("written", POSTERIOR)
    with pytest.raises(WriterOutputError):
        await draft(PlainWriter(["Dear colleague"]), checks=False)
