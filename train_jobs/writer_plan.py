"""What an evaluation of a writer is told: parts, data, options; and the command that says it again.

A frozen record. Nothing is read or checked here; see `evaluate_writer`.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field
from pathlib import Path

from pirta.evaluation.writer_evaluation import WriterOptions
from pirta.settings import WriterSettings
from train_jobs.evaluation_data import DataName

TOP_K = 5


@dataclass(frozen=True)
class WriterPlan:
    """What to measure, on what, and where to.

    Attributes:
        limits: what `fit_abstention` wrote; None takes the limits of an uncalibrated index.
        without_patients: a text file of patients that do not ask, one a line: those whose cases
            the writer learnt from.
    """

    encoder: Path
    base: Path
    adapter: Path
    index: DataName
    data: tuple[DataName, ...]
    out: Path
    limits: Path | None = None
    without_patients: Path | None = None
    options: WriterOptions = field(default_factory=WriterOptions)
    top_k: int = TOP_K
    num_threads: int = 1
    writer: WriterSettings = field(default_factory=WriterSettings)

    def command(self) -> str:
        """Return the command that measures this again."""
        words = ["pirta", "evaluate", "writer", "--encoder", str(self.encoder)]
        words += ["--writer-base", str(self.base), "--writer-adapter", str(self.adapter)]
        words += ["--index", f"{self.index.store}:{self.index.split or 'all'}"]
        for one in self.data:
            words += ["--data", str(one)]
        for option, value in (
            ("--limits", self.limits),
            ("--without-patients", self.without_patients),
            ("--out", self.out),
        ):
            words += [option, str(value)] if value is not None else []
        usual = WriterOptions()
        for option, number, default in (
            ("--num-resamples", self.options.num_resamples, usual.num_resamples),
            ("--seed", self.options.seed, usual.seed),
        ):
            words += [option, str(number)] if number != default else []
        return shlex.join(words)
