"""An encoder measured on held-out studies: its neighbours and its own classes.

`evaluate` works on embedded cases alone: no files, no Ray, no index server. Who loads stores
and weights is the caller (`train_jobs.evaluate_encoder`). A query never meets its own patient
in the index. The threshold and the temperature come from validation cases.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pirta.contracts.finding import LABELS
from pirta.errors import ManifestError
from pirta.evaluation.calibration import ReliabilityBin, fit_temperature, reliability, scale
from pirta.evaluation.case_figures import Judgement, figure_values
from pirta.evaluation.classification_metrics import confusion
from pirta.evaluation.embedded_cases import EmbeddedCases
from pirta.evaluation.embedding import Embedder as Embedder
from pirta.evaluation.embedding import EvaluationCase as EvaluationCase
from pirta.evaluation.embedding import embed_cases
from pirta.evaluation.intervals import Interval, draw_weights
from pirta.evaluation.neighbour_hits import NeighbourHits, find_hits
from pirta.evaluation.operating_point import OperatingPoint, choose_operating_point
from pirta.evaluation.size_curve import SizePoint, size_bins, size_curve

Figures = dict[str, Interval]


@dataclass(frozen=True)
class EvaluationOptions:
    """What an evaluation can be told.

    Attributes:
        ranks: n and k of the retrieval figures.
        least_specificity: that the operating point keeps on validation.
        num_bins: of the calibration error, equal in mass.
        seed: of the bootstrap.
    """

    ranks: tuple[int, ...] = (1, 3, 5, 10)
    least_specificity: float = 0.95
    num_resamples: int = 1000
    num_bins: int = 10
    seed: int = 0


@dataclass(frozen=True)
class Group:
    """Some of the queries and their figures, each with its 95 % interval over patients.

    Attributes:
        kind: "all", "data", "site", "scanner" or "lesion size".
        confusion_KK: rows the truth, columns the encoder's own class, order of `LABELS`.
        size_curve: sensitivity over volume at the operating point; without one, by the
            likeliest class. Of "all" and of each data set.
    """

    kind: str
    name: str
    num_cases: int
    num_strokes: int
    num_patients: int
    figures: Figures
    confusion_KK: tuple[tuple[int, ...], ...]
    size_curve: tuple[SizePoint, ...] = ()


@dataclass(frozen=True)
class EncoderEvaluation:
    """What was measured.

    Attributes:
        groups: the first holds all queries.
        operating_point: None where the validation lacks normals or strokes.
        temperature: fitted on validation; None without one.
        num_in_validation: queries that are validation cases too: there threshold and
            temperature flatter.
        num_in_index: queries whose patient has scans in the index, which are never neighbours;
            most likely the encoder was trained on them.
        reliability: of the probabilities as they are, and temperature scaled (empty without).
    """

    num_index: int
    options: EvaluationOptions
    groups: tuple[Group, ...]
    operating_point: OperatingPoint | None
    temperature: float | None
    reliability: tuple[ReliabilityBin, ...]
    reliability_scaled: tuple[ReliabilityBin, ...]
    num_in_validation: int = 0
    num_in_index: int = 0

    @property
    def figures(self) -> Figures:
        """The figures of all queries."""
        return self.groups[0].figures

    @property
    def num_queries(self) -> int:
        """Cases that asked."""
        return self.groups[0].num_cases

    def names(self, kind: str) -> tuple[str, ...]:
        """Return the groups of a kind by name: the sites, the data."""
        return tuple(group.name for group in self.groups if group.kind == kind)

    def judgement(self) -> Judgement:
        """Return how probabilities became calls."""
        point = self.operating_point
        return Judgement(
            self.options.ranks,
            self.options.least_specificity,
            None if point is None else point.threshold,
            self.temperature,
            self.options.num_bins,
        )


def evaluate(
    index: EmbeddedCases,
    queries: EmbeddedCases,
    *,
    validation: EmbeddedCases | None = None,
    options: EvaluationOptions | None = None,
) -> EncoderEvaluation:
    """Measure neighbours and classes, of all queries and of each data set, site and size.

    Args:
        validation: chooses the threshold and the temperature; should hold no query.

    Raises:
        ManifestError: index or queries are empty.
    """
    options = options or EvaluationOptions()
    for name, cases in (("index", index), ("queries", queries)):
        if not len(cases):
            raise ManifestError(
                f"The evaluation's {name} hold no case.", remedy="Name a split that has cases."
            )
    point, temperature = None, None
    if validation is not None and len(validation):
        point = choose_operating_point(validation, least_specificity=options.least_specificity)
        temperature = fit_temperature(validation.truths_Q, validation.probabilities_QK)
    hits = find_hits(queries, index, num_neighbours=max(options.ranks))
    judgement = Judgement(
        options.ranks,
        options.least_specificity,
        point.threshold if point else None,
        temperature,
        options.num_bins,
    )
    return EncoderEvaluation(
        num_index=len(index),
        options=options,
        groups=tuple(
            _measure(kind, name, queries.take(rows_Q), hits.take(rows_Q), judgement, options)
            for kind, name, rows_Q in _groups(queries)
        ),
        operating_point=point,
        temperature=temperature,
        reliability=_reliability(queries, 1.0, options),
        reliability_scaled=()
        if temperature is None
        else _reliability(queries, temperature, options),
        num_in_validation=_num_shared(queries, validation),
        num_in_index=_num_shared(queries, index),
    )


def evaluate_encoder(
    encoder: Embedder,
    *,
    index: Sequence[EvaluationCase],
    queries: Sequence[EvaluationCase],
    validation: Sequence[EvaluationCase] = (),
    options: EvaluationOptions | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> EncoderEvaluation:
    """Embed all cases and `evaluate`.

    Raises:
        ManifestError: index or queries are empty.
    """
    total, done = len(index) + len(queries) + len(validation), 0
    parts = []
    for name, cases in (("index", index), ("queries", queries), ("validation", validation)):
        if name == "validation" and not cases:
            continue
        before = done
        tell = None if on_progress is None else _progress(on_progress, before, total)
        parts.append(embed_cases(encoder, cases, dataset=name, on_case=tell))
        done += len(cases)
    return evaluate(
        parts[0], parts[1], validation=parts[2] if validation else None, options=options
    )


def _progress(tell: Callable[[int, int], None], before: int, total: int) -> Callable[[int], None]:
    return lambda done: tell(before + done, total)


def _num_shared(queries: EmbeddedCases, others: EmbeddedCases | None) -> int:
    if others is None:
        return 0
    return int(np.isin(queries.patient_ids, others.patient_ids).sum())


def _groups(queries: EmbeddedCases) -> Iterator[tuple[str, str, NDArray[np.bool_]]]:
    yield "all", "all", np.ones(len(queries), bool)
    for name in dict.fromkeys(queries.datasets.tolist()):
        yield "data", name or "not named", queries.datasets == name
    for kind, column in (("site", queries.sites), ("scanner", queries.scanners)):
        for name in np.unique(column):
            # A site's own cases and lesions put into its brains are not the same question.
            named_Q = column == name
            data = dict.fromkeys(queries.datasets[named_Q].tolist())
            for dataset in data:
                title = str(name) or "not named"
                shown = f"{title} ({dataset})" if len(data) > 1 else title
                yield kind, shown, named_Q & (queries.datasets == dataset)
    for name, inside_Q in size_bins(queries).items():
        yield "lesion size", name, inside_Q


def _measure(
    kind: str,
    name: str,
    cases: EmbeddedCases,
    hits: NeighbourHits,
    judgement: Judgement,
    options: EvaluationOptions,
) -> Group:
    weights_SQ = draw_weights(
        cases.patient_ids, num_resamples=options.num_resamples, seed=options.seed
    )
    values = figure_values(cases, hits, weights_SQ, judgement)
    threshold = judgement.threshold
    called_Q = cases.called_Q > 0 if threshold is None else cases.lesion_scores_Q >= threshold
    counts_KK = confusion(cases.truths_Q, cases.called_Q, num_classes=len(LABELS))
    return Group(
        kind=kind,
        name=name,
        num_cases=len(cases),
        num_strokes=int(cases.is_stroke_Q.sum()),
        num_patients=cases.num_patients,
        figures={figure: sampled.interval() for figure, sampled in values.items()},
        confusion_KK=tuple(tuple(int(count) for count in row) for row in counts_KK),
        size_curve=size_curve(cases, called_Q) if kind in ("all", "data") else (),
    )


def _reliability(
    queries: EmbeddedCases, temperature: float, options: EvaluationOptions
) -> tuple[ReliabilityBin, ...]:
    scaled_QK = scale(queries.probabilities_QK, temperature)
    return reliability(queries.truths_Q, scaled_QK, num_bins=options.num_bins)
