"""Scripted engines and questions made by hand, for the tests of measuring a writer."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import numpy as np

from pirta.contracts.finding import LABELS, NORMAL_SENTENCE, Finding, Label
from pirta.reporting.answer import answer_text, parse_sentence
from tests.unit.evaluation.writers import asked
from train_jobs.writer_engine import AnswerEngine
from train_jobs.writer_queries import WriterQuery


def question(
    truth: Finding | None,
    number: int = 0,
    *,
    evidence: list[Finding | None] | None = None,
    encoder_label: Label | None = None,
    sure: float = 0.97,
) -> WriterQuery:
    case = asked(truth, number, evidence=evidence)
    label = case.label if encoder_label is None else encoder_label
    probabilities_K = np.full(len(LABELS), (1 - sure) / 3, np.float32)
    probabilities_K[LABELS.index(label)] = sure
    changed = asked(truth, number, evidence=evidence, encoder_label=label)
    return WriterQuery(changed, probabilities_K, 0)


@dataclass
class Scripted:
    """Answers by a function of the prompt, and remembers what it was asked.

    Attributes:
        most_at_once: the most questions that were ever under way together.
    """

    answer_to: Callable[[str], str]
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    under_way: int = 0
    most_at_once: int = 0

    async def answer(self, user: str, *, regex: str | None) -> str:
        self.asked.append((user, regex))
        self.under_way += 1
        self.most_at_once = max(self.most_at_once, self.under_way)
        await asyncio.sleep(0)
        self.under_way -= 1
        return self.answer_to(user)


def copies_rank(rank: int) -> Scripted:
    """A naive writer: repeats the neighbour of this rank; without one it says normal."""

    def answer(user: str) -> str:
        found = re.search(rf"^\[{rank}\] (.*)$", user, re.MULTILINE)
        return answer_text(parse_sentence(found[1] if found else NORMAL_SENTENCE))

    return Scripted(answer)


@asynccontextmanager
async def opened(engine: AnswerEngine) -> AsyncIterator[AnswerEngine]:
    """An engine that is there already."""
    yield engine
