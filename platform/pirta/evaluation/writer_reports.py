"""What is asked of a writer and what it told: the rows that the figures of writers are made of.

A system is whatever makes a report's text of the same evidence: the product, the product without
a part of it, or a rule without a model. Who asked it, and how, is the caller's business. Text is
kept in memory only, since a report repeats the registry.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property

from pirta.contracts.finding import Finding, Label, label_of
from pirta.contracts.report import ReportMode, RetrievedCase
from pirta.contracts.study import Registry
from pirta.evaluation.writer_form import ReadReport, read_report


@dataclass(frozen=True)
class WriterCase:
    """A held-out case with its verified answer, and what a writer is shown of it.

    Attributes:
        dataset: the name under which the evaluation knows the data that it came with.
        evidence: the neighbours, nearest first, never its own patient's; at least one.
        encoder_label: the classifier's.
    """

    case_id: str
    patient_id: str
    dataset: str
    site: str
    registry: Registry = field(repr=False)
    truth: Finding | None
    evidence: tuple[RetrievedCase, ...]
    encoder_label: Label

    @property
    def label(self) -> Label:
        """The truth's."""
        return label_of(self.truth)


@dataclass(frozen=True)
class ToldReport:
    """One system's report of one case.

    Attributes:
        text: as it leaves, whether in form or not.
        mode: how it came about; "written" for a rule as well.
        confidence: NaN where the system has none.
        contradictions: codes of the grounding rules that the text breaks; of a text that states
            something only.
        reasons: codes, where it is not a written one.
    """

    text: str = field(repr=False)
    mode: ReportMode = "written"
    confidence: float = math.nan
    contradictions: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()

    @cached_property
    def read(self) -> ReadReport | None:
        """What the text says; None where it is out of form."""
        return read_report(self.text)

    @property
    def states(self) -> bool:
        """Whether a reader learns what the study shows."""
        return self.read is not None and self.read.states

    @property
    def finding(self) -> Finding | None:
        """What it states; also None where it states nothing."""
        return self.read.finding if self.read is not None else None

    @property
    def label(self) -> Label | None:
        """The label stated; None where nothing is."""
        return label_of(self.finding) if self.states else None

    def is_right(self, case: WriterCase) -> bool:
        """Whether it states the true label."""
        return self.label is case.label
