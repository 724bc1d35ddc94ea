"""What the language model may write, and reading it back.

The model writes two lines, findings and impression. The other parts of the paper's report
repeat the registry and are put in by code (`registry_text`): a model cannot then change an age
or a history. `ANSWER_REGEX` is handed to the engine's structured output, so that a served
answer is in form by construction; `parse_answer` checks it again, whoever wrote it.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from pirta.contracts.finding import (
    NORMAL_SENTENCE,
    Finding,
    InfarctType,
    LesionClass,
    Territory,
    finding_sentence,
)
from pirta.contracts.report import ACUTE_IMPRESSION, NORMAL_IMPRESSION
from pirta.errors import WriterOutputError


def _any_of(words: list[str]) -> str:
    return (
        "("
        + "|".join(re.escape(word).replace(r"\ ", " ").replace(r"\-", "-") for word in words)
        + ")"
    )


# Plain groups and alternations only: xgrammar and llguidance both take it. The two impressions
# stand inside the alternation, so that a contradiction cannot be generated.
_SENTENCE: Final = (
    f"There is {_any_of([*LesionClass])} {_any_of([*InfarctType])} diffusion restriction "
    rf"in the {_any_of([*Territory])} territory\."
)
_NORMAL: Final = NORMAL_SENTENCE.replace(".", r"\.")
ANSWER_REGEX: Final = (
    rf"Findings: ({_SENTENCE}\nImpression: {ACUTE_IMPRESSION}"
    rf"|{_NORMAL}\nImpression: {NORMAL_IMPRESSION})"
)

_FORM: Final = re.compile(r"Findings: (?P<findings>[^\n]+)\nImpression: (?P<impression>[^\n]+)")
_LEGAL: Final = re.compile(_SENTENCE)


@dataclass(frozen=True)
class WrittenAnswer:
    """The model's two lines, understood. `finding` None is "no diffusion restriction"."""

    finding: Finding | None
    impression: str

    @property
    def findings(self) -> str:
        """The findings sentence."""
        return finding_sentence(self.finding)


def answer_text(finding: Finding | None) -> str:
    """Return the answer for a finding: what a writer is trained to say."""
    impression = NORMAL_IMPRESSION if finding is None else ACUTE_IMPRESSION
    return f"Findings: {finding_sentence(finding)}\nImpression: {impression}"


def answer_regex_of(findings: Collection[Finding | None]) -> str:
    """Return the pattern of exactly the answers that say one of `findings`; at least one.

    For a second try: what the evidence does not support can then not be generated.
    """
    assert findings, "a pattern of no answer matches nothing"
    answers = dict.fromkeys(answer_text(finding) for finding in findings)
    return "(" + "|".join(answer.replace(".", r"\.") for answer in answers) + ")"


def parse_answer(text: str) -> WrittenAnswer:
    """Return what a written answer says.

    Raises:
        WriterOutputError: the text is not in the form, its sentence is none of the legal ones,
            or findings and impression contradict each other. The message holds no report text.
    """
    match = _FORM.fullmatch(text.strip())
    if match is None:
        raise _refusal(
            f"is not the two lines 'Findings:' and 'Impression:' ({len(text)} characters)"
        )
    finding = parse_sentence(match["findings"])
    impression = match["impression"]
    if impression not in (ACUTE_IMPRESSION, NORMAL_IMPRESSION):
        raise _refusal(
            f"has an impression other than '{ACUTE_IMPRESSION}' or '{NORMAL_IMPRESSION}'"
        )
    if (finding is None) != (impression == NORMAL_IMPRESSION):
        raise _refusal("contradicts itself: its impression does not follow from its findings")
    return WrittenAnswer(finding=finding, impression=impression)


def parse_sentence(sentence: str) -> Finding | None:
    """Return the finding of a legal findings sentence; None is the normal one.

    Raises:
        WriterOutputError: the sentence is not a legal one.
    """
    if sentence == NORMAL_SENTENCE:
        return None
    match = _LEGAL.fullmatch(sentence)
    if match is None:
        raise _refusal("has a findings sentence outside the paper's form")
    lesion_class, infarct_type, territory = match.groups()
    return Finding(
        lesion_class=LesionClass(lesion_class),
        infarct_type=InfarctType(infarct_type),
        territory=Territory(territory),
    )


def _refusal(problem: str) -> WriterOutputError:
    return WriterOutputError(
        f"The writer's answer {problem}.",
        remedy="Serve the writer with ANSWER_REGEX as its structured output, or train it further.",
    )
