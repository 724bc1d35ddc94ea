"""The second reader of raw reports: a language model whose answer is bound to a JSON schema.

The model sees the report's sentences with numbers and answers with slots and the numbers it read
them from, so that its evidence is always a sentence of the report. The engine constrains the
answer to `answer_schema()`; `parse_answer` checks it again, whoever wrote it. The report is data:
it enters as `neutral_text`. Which engine completes the prompt is the caller's (`Completion`).
"""

from __future__ import annotations

from importlib import resources
from typing import Annotated, Any, Protocol

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pirta.contracts.finding import InfarctType, Laterality, LesionClass, Territory
from pirta.errors import WriterOutputError
from pirta.reporting.structuring.result import (
    Acuity,
    Certainty,
    Doubt,
    Evidence,
    Lesion,
    StructuredReport,
    in_order,
)
from pirta.reporting.structuring.rules import check_length
from pirta.reporting.structuring.sentences import Sentence, split_sentences
from pirta.reporting.untrusted_text import neutral_text

MOST_LESIONS = 6
_RULE = "language model"


class Completion(Protocol):
    """An engine that completes one user turn under a JSON schema."""

    def complete(self, user: str, schema: dict[str, Any]) -> str:
        """Return the answer's text.

        Raises:
            PirtaError: the turn is too long for the model, or the engine failed.
        """
        ...


class AnsweredLesion(BaseModel):
    """One lesion as the model answers it; null is "the text does not say"."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sentences: Annotated[tuple[int, ...], Field(min_length=1, max_length=4)]
    acuity: Acuity
    certainty: Certainty
    territory: Territory | None
    laterality: Laterality | None
    infarct_type: InfarctType | None
    lesion_class: LesionClass | None
    multifocal: bool


class ReportAnswer(BaseModel):
    """The model's whole answer."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    denies_acute_infarct: bool
    lesions: Annotated[tuple[AnsweredLesion, ...], Field(max_length=MOST_LESIONS)]


class LlmReader:
    """Reads raw reports with a language model."""

    def __init__(self, engine: Completion) -> None:
        self._engine = engine

    def read(self, text: str) -> StructuredReport:
        """Return what the model reads in a raw report.

        Raises:
            InputError: the text is empty or too long.
            WriterOutputError: the answer is out of form or contradicts itself.
        """
        check_length(text)
        sentences = split_sentences(text)
        answer = self._engine.complete(reading_prompt(sentences), answer_schema())
        return parse_answer(answer, sentences)


def reading_prompt(sentences: tuple[Sentence, ...]) -> str:
    """Return the user's turn for the sentences of one report."""
    template = resources.files("pirta.reporting").joinpath("templates", "structure_prompt.txt")
    numbered = "\n".join(f"{one.index}. {neutral_text(one.words)}" for one in sentences)
    head, tail = template.read_text(encoding="utf-8").split("{sentences}")
    return (head + numbered + tail).rstrip("\n")


def answer_schema() -> dict[str, Any]:
    """Return the JSON schema for the engine's structured output."""
    return ReportAnswer.model_json_schema()


def parse_answer(answer: str, sentences: tuple[Sentence, ...]) -> StructuredReport:
    """Return what a model's answer says of a report.

    Raises:
        WriterOutputError: it is no answer of the schema, names a sentence that is not there, or
            denies a recent infarct and lists one. The message holds none of the text.
    """
    try:
        said = ReportAnswer.model_validate_json(answer)
    except ValidationError as error:
        raise _refusal(f"breaks the schema in {error.error_count()} places") from None
    numbers = {number for lesion in said.lesions for number in lesion.sentences}
    if not numbers <= set(range(len(sentences))):
        raise _refusal(f"names a sentence beyond the report's {len(sentences)}")
    lesions = [_lesion(one, sentences) for one in said.lesions]
    recent = tuple(one for one in lesions if one.acuity is not Acuity.CHRONIC)
    if said.denies_acute_infarct and recent:
        raise _refusal("denies a recent infarct and lists one")
    return StructuredReport(
        lesions=recent,
        chronic=tuple(one for one in lesions if one.acuity is Acuity.CHRONIC),
        is_normal=said.denies_acute_infarct,
        normal_evidence=(),
        doubts=in_order(_doubts(said, recent)),
    )


def _lesion(answered: AnsweredLesion, sentences: tuple[Sentence, ...]) -> Lesion:
    empty = {name for name in ("infarct_type", "lesion_class") if getattr(answered, name) is None}
    return Lesion(
        territory=answered.territory,
        lesion_class=answered.lesion_class or LesionClass.STRONG,
        infarct_type=answered.infarct_type or InfarctType.SMALL,
        laterality=answered.laterality,
        multifocal=answered.multifocal,
        acuity=answered.acuity,
        certainty=answered.certainty,
        inferred=frozenset(empty),
        evidence=tuple(
            Evidence(number, sentences[number].words, _RULE) for number in answered.sentences
        ),
    )


def _doubts(said: ReportAnswer, recent: tuple[Lesion, ...]) -> list[Doubt]:
    if not recent:
        return [] if said.denies_acute_infarct else [Doubt.NOTHING_SAID]
    found = {
        Doubt.TERRITORY_MISSING: any(one.territory is None for one in recent),
        Doubt.SEVERAL_TERRITORIES: len({one.territory for one in recent}) > 1,
        Doubt.ONLY_POSSIBLE: any(one.certainty is Certainty.POSSIBLE for one in recent),
        Doubt.TYPE_INFERRED: any("infarct_type" in one.inferred for one in recent),
        Doubt.CLASS_INFERRED: any("lesion_class" in one.inferred for one in recent),
    }
    return [doubt for doubt, holds in found.items() if holds]


def _refusal(problem: str) -> WriterOutputError:
    return WriterOutputError(
        f"The second reader's answer {problem}.",
        remedy="Serve it with answer_schema() as its structured output, or take a larger model.",
    )
