"""Each system on plain questions, with writers that are scripted."""

from __future__ import annotations

import pytest

from pirta.contracts.abstention import AbstentionLimits
from pirta.contracts.finding import Finding, Label
from pirta.evaluation.writer_reports import ToldReport
from pirta.reporting.answer import ANSWER_REGEX, answer_text
from pirta.reporting.prompt import build_prompt
from tests.unit.evaluation.writers import ANTERIOR, DEEP, POSTERIOR, REGISTRY, near
from tests.unit.train_jobs.writer_questions import Scripted, copies_rank, question
from train_jobs.writer_queries import WriterQuery
from train_jobs.writer_systems import (
    ALWAYS,
    CLASSIFIER,
    FIRST,
    FREE,
    MAJORITY,
    NAIVE,
    NO_RETRIEVAL,
    POISONED,
    PRODUCT,
    ROLES,
    TOP_1,
    SystemParts,
    prompt_without_neighbours,
    systems,
)

USUAL: dict[Label, Finding | None] = {
    Label.NORMAL: None, Label.ANTERIOR: ANTERIOR, Label.DEEP_GRAY: DEEP,
}  # fmt: skip
ONE_WRONG: list[Finding | None] = [POSTERIOR, DEEP, DEEP, DEEP, DEEP]


async def told(name: str, query: WriterQuery, engine: Scripted) -> ToldReport:
    parts = SystemParts(engine, AbstentionLimits(), USUAL)
    return await systems(parts)[name](query)


def says_always(finding: Finding | None) -> Scripted:
    return Scripted(lambda _user: answer_text(finding))


def test_the_roles_name_systems_that_there_are() -> None:
    names = systems(SystemParts(copies_rank(1), AbstentionLimits(), USUAL))
    asked = {ROLES.product, ROLES.always, ROLES.naive, *ROLES.baselines, *POISONED}
    assert asked <= set(names)
    assert next(iter(names)) == ROLES.product


@pytest.mark.parametrize("name", [PRODUCT, ALWAYS, NAIVE, FREE, TOP_1])
async def test_where_everything_agrees_every_writer_says_it(name: str) -> None:
    found = await told(name, question(DEEP), copies_rank(1))
    assert (found.finding, found.mode, found.contradictions) == (DEEP, "written", ())


async def test_the_naive_writer_copies_a_wrong_first_neighbour_and_the_product_does_not() -> None:
    wrong = question(DEEP, evidence=ONE_WRONG)
    naive = await told(NAIVE, wrong, copies_rank(1))
    assert naive.finding == POSTERIOR
    assert "territory_unsupported" in naive.contradictions
    product = await told(PRODUCT, wrong, copies_rank(1))
    assert product.label is not Label.POSTERIOR
    assert product.contradictions == ()


async def test_without_limits_the_same_checks_stand_and_nothing_else_abstains() -> None:
    split = question(DEEP, evidence=[DEEP, DEEP, DEEP, None, None], sure=0.4)
    product = await told(PRODUCT, split, copies_rank(1))
    always = await told(ALWAYS, split, copies_rank(1))
    assert (product.mode, product.states) == ("abstained", False)
    assert product.reasons
    assert (always.mode, always.finding) == ("written", DEEP)
    assert always.confidence == product.confidence


async def test_without_grounding_the_engine_is_asked_once_and_held_to_the_form() -> None:
    engine = says_always(ANTERIOR)
    query = question(DEEP)
    found = await told(NAIVE, query, engine)
    assert engine.asked == [(build_prompt(REGISTRY, query.case.evidence).user, ANSWER_REGEX)]
    assert found.finding == ANTERIOR


async def test_free_decoding_is_not_held_to_the_form_and_may_break_it() -> None:
    engine = Scripted(lambda _user: "Findings: a stroke\nImpression: Acute infarction")
    found = await told(FREE, question(DEEP), engine)
    assert engine.asked[0][1] is None
    assert found.read is None
    assert "statement_unsourced" in found.contradictions


async def test_top_1_shows_the_nearest_neighbour_alone() -> None:
    engine = says_always(DEEP)
    await told(TOP_1, question(DEEP, evidence=[DEEP, None, None]), engine)
    assert "[1]" in engine.asked[0][0]
    assert "[2]" not in engine.asked[0][0]


async def test_no_retrieval_shows_the_registry_and_no_neighbour() -> None:
    engine = says_always(DEEP)
    await told(NO_RETRIEVAL, question(DEEP), engine)
    prompt = engine.asked[0][0]
    assert prompt == prompt_without_neighbours(question(DEEP))
    assert "Altered Mentality" in prompt
    assert "[1]" not in prompt
    assert prompt in build_prompt(REGISTRY, [near(DEEP)]).user


async def test_the_rules_say_what_they_say_and_ask_no_engine() -> None:
    engine = says_always(ANTERIOR)
    query = question(DEEP, evidence=ONE_WRONG, encoder_label=Label.ANTERIOR)
    assert (await told(FIRST, query, engine)).finding == POSTERIOR
    assert (await told(MAJORITY, query, engine)).finding == DEEP
    assert (await told(CLASSIFIER, query, engine)).finding == ANTERIOR
    assert engine.asked == []


async def test_a_label_that_the_index_lacks_is_said_as_the_neighbours_majority() -> None:
    query = question(DEEP, encoder_label=Label.POSTERIOR)
    assert (await told(CLASSIFIER, query, copies_rank(1))).finding == DEEP
