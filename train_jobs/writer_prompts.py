"""Table-3 prompts made from verified cases, as JSON lines on disk.

One object a line: `registry` (a registry row), `neighbours` (findings, null for a normal case,
nearest first), `truth`, and where known `patient` and `poisoned_rank` (see
`writer_corpus.WriterExample`). `make_writer_prompts` makes such a file and proves what this module
cannot see: that the query's own patient is not among the neighbours, and that the encoder was not
tuned on them. Otherwise the writer would learn to copy perfect neighbours.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pirta.contracts.finding import Finding
from pirta.contracts.study import Registry
from pirta.errors import TrainingError
from train_jobs.writer_corpus import WriterExample


class PromptLine(BaseModel):
    """One line of the file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    registry: Registry
    neighbours: tuple[Finding | None, ...] = Field(min_length=1)
    truth: Finding | None
    poisoned_rank: int | None = Field(default=None, ge=0)
    patient: str | None = None


def read_examples(path: Path) -> list[WriterExample]:
    """Return the examples of a file, in its order.

    Raises:
        TrainingError: the file is missing, holds fewer than two lines, or a line is not in form;
            the message names line and fields, never a value.
    """
    if not path.is_file():
        raise TrainingError(f"The prompts file {path} does not exist.", remedy="Name another file.")
    examples = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            item = PromptLine.model_validate_json(line)
        except ValidationError as error:
            fields = sorted({".".join(map(str, part["loc"])) for part in error.errors()})
            raise TrainingError(
                f"Line {number} of {path} is not a prompt: {', '.join(fields) or 'no JSON'}.",
                remedy="One JSON object a line with registry, neighbours and truth.",
            ) from None
        examples.append(
            WriterExample(
                item.registry, item.neighbours, item.truth, item.poisoned_rank, item.patient
            )
        )
    if len(examples) < 2:
        raise TrainingError(
            f"The prompts file {path} holds {len(examples)} prompts.",
            remedy="At least two are needed: one to learn, one to measure.",
        )
    return examples


def write_examples(examples: Sequence[WriterExample], path: Path) -> None:
    """Write examples as JSON lines."""
    path.write_text("".join(f"{_line(example)}\n" for example in examples), encoding="utf-8")


def examples_sha256(examples: Sequence[WriterExample]) -> str:
    """Return the sha256 over the examples' lines."""
    digest = hashlib.sha256()
    for example in examples:
        digest.update(_line(example).encode() + b"\n")
    return digest.hexdigest()


def _line(example: WriterExample) -> str:
    return PromptLine(
        registry=example.registry,
        neighbours=example.neighbours,
        truth=example.truth,
        poisoned_rank=example.poisoned_rank,
        patient=example.patient,
    ).model_dump_json()
