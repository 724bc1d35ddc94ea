"""What an adapter run learns from, and what it is measured on: drawn prompts, a file's, or both.

Drawn ones follow from the run's seed. Of a file of real prompts the last patients are held out,
whole. It trains and scores nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pirta.errors import TrainingError
from train_jobs.writer_corpus import (
    WriterExample,
    names_its_answer,
    with_fewer_neighbours,
    writer_example,
)
from train_jobs.writer_presets import AdapterRun
from train_jobs.writer_prompts import read_examples


@dataclass(frozen=True)
class ExampleSets:
    """A run's examples.

    Attributes:
        held_out_drawn: empty where the run draws none to learn from.
        held_out_real: empty where no file is given.
    """

    learnt: tuple[WriterExample, ...]
    held_out_drawn: tuple[WriterExample, ...]
    held_out_real: tuple[WriterExample, ...]


def example_sets(run: AdapterRun, prompts: Path | None) -> ExampleSets:
    """Return the run's examples, the same each time.

    Of real prompts, only those are learnt whose neighbours name the answer; held out are all kinds.

    Raises:
        TrainingError: the file cannot be used; see `read_examples` and `split_by_patient`.
    """
    num_drawn = run.num_examples if prompts is None else run.num_beside_real
    drawn = _drawn(run, num_drawn)
    held_out_drawn = _held_out(run) if num_drawn else ()
    if prompts is None:
        return ExampleSets(drawn, held_out_drawn, ())
    learnt, held_out = split_by_patient(read_examples(prompts), run.num_held_out)
    sure = tuple(example for example in learnt if names_its_answer(example))
    if not sure:
        raise TrainingError(
            f"In none of the {len(learnt)} prompts of {prompts} do the neighbours name the answer.",
            remedy="Make prompts with an index that holds cases like the queries.",
        )
    return ExampleSets(drawn + sure * run.real_copies, held_out_drawn, held_out)


def split_by_patient(
    examples: Sequence[WriterExample], most: int
) -> tuple[tuple[WriterExample, ...], tuple[WriterExample, ...]]:
    """Return a file's prompts to learn and those held out: its last ones.

    At most `most` and at most a fifth are held out, but whole patients, and one at least. A prompt
    that names no patient counts as one of its own.

    Raises:
        TrainingError: a patient's lines do not stand together, or all are of one patient.
    """
    starts = [
        row
        for row, example in enumerate(examples)
        if row == 0 or example.patient is None or example.patient != examples[row - 1].patient
    ]
    named = [examples[row].patient for row in starts if examples[row].patient is not None]
    if len(set(named)) < len(named):
        raise TrainingError(
            "The lines of a patient do not stand together in the file of prompts.",
            remedy="Sort the file by patient: the last ones are held out.",
        )
    if len(starts) < 2:
        raise TrainingError(
            "The file of prompts holds one patient only.",
            remedy="At least two are needed: one to learn from, one to measure on.",
        )
    wanted = len(examples) - max(1, min(most, len(examples) // 5))
    cut = next((row for row in starts if row >= wanted), starts[-1])
    return tuple(examples[:cut]), tuple(examples[cut:])


def poisoned_examples(run: AdapterRun) -> list[WriterExample]:
    """Return drawn prompts with four neighbours that are right and one that is not."""
    rng = np.random.default_rng((run.loop.seed, 5))
    return [writer_example(rng, poisoned=True) for _ in range(run.num_held_out)]


def _drawn(run: AdapterRun, number: int) -> tuple[WriterExample, ...]:
    rng = np.random.default_rng((run.loop.seed, 3))
    examples = [writer_example(rng) for _ in range(number)]
    fewer = np.random.default_rng((run.loop.seed, 6))
    return tuple(
        with_fewer_neighbours(fewer, example) if fewer.random() < run.missing_share else example
        for example in examples
    )


def _held_out(run: AdapterRun) -> tuple[WriterExample, ...]:
    rng = np.random.default_rng((run.loop.seed, 4))
    return tuple(writer_example(rng) for _ in range(run.num_held_out))
