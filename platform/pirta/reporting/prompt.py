"""The writer's prompt, in the form of the paper's Table 3.

The words stand in `templates/report_prompt.txt`; its sha256 enters the release, because a
writer is tested with one prompt only. A neighbour enters as the sentence of its structured finding,
whatever text lies beside that in the index: the words of a store give no orders. Chat tokens (the
paper's `<s> [INST]`) are put around it by the model's own chat template, not here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources

from pirta.contracts.finding import finding_sentence
from pirta.contracts.report import RetrievedCase
from pirta.contracts.study import Registry
from pirta.errors import NoNeighboursError
from pirta.reporting.registry_text import registry_line
from pirta.reporting.untrusted_text import neutral_text

NEIGHBOUR_CHARACTERS = 500  # three times the longest legal sentence

_TEMPLATE = "report_prompt.txt"


@dataclass(frozen=True)
class Prompt:
    """One chat turn of the user."""

    user: str

    @property
    def messages(self) -> list[dict[str, str]]:
        """The turn as OpenAI-style chat messages."""
        return [{"role": "user", "content": self.user}]


def build_prompt(registry: Registry, evidence: Sequence[RetrievedCase]) -> Prompt:
    """Return the prompt for a registry row and its neighbours, nearest first.

    Raises:
        NoNeighboursError: there is no neighbour to write from.
    """
    return Prompt(user=prompt_text(registry, [finding_sentence(case.finding) for case in evidence]))


def prompt_text(registry: Registry, findings: Sequence[str]) -> str:
    """Return the user's turn for the neighbours' findings sentences, nearest first.

    Raises:
        NoNeighboursError: `findings` is empty.
    """
    if not findings:
        raise NoNeighboursError(
            "There is no retrieved case to write a report from.",
            remedy="Build the index from cases that this request may see, then ask again.",
        )
    reports = "\n".join(
        f"[{rank}] {neutral_text(text, most_characters=NEIGHBOUR_CHARACTERS)}"
        for rank, text in enumerate(findings, 1)
    )
    # Two plain replacements in this order, never str.format: braces in the data stay braces.
    head, tail = prompt_template().split("{reports}")
    return (head.replace("{registry}", registry_line(registry)) + reports + tail).rstrip("\n")


def prompt_template() -> str:
    """Return the template's text."""
    return _template_bytes().decode()


def prompt_sha256() -> str:
    """Return the template's sha256 in hex."""
    return hashlib.sha256(_template_bytes()).hexdigest()


def _template_bytes() -> bytes:
    return resources.files("pirta.reporting").joinpath("templates", _TEMPLATE).read_bytes()
