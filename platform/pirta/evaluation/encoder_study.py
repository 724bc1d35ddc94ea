"""All that one run of `pirta evaluate encoder` found, and how to put it together.

Embedded cases in, figures out; what is written of it is `report_folder`'s business.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from pirta.evaluation.embedded_cases import EmbeddedCases
from pirta.evaluation.encoder_evaluation import EncoderEvaluation, EvaluationOptions, evaluate
from pirta.evaluation.neighbour_hits import find_hits
from pirta.evaluation.paired_comparison import Comparison, Judged, compare
from pirta.evaluation.projection import Projection, project
from pirta.evaluation.site_probe import SiteProbe, probe_sites

Json: TypeAlias = "str | int | float | bool | list[Json] | Mapping[str, Json] | None"


@dataclass(frozen=True)
class EncoderCases:
    """What one encoder made of the index, the queries and the validation cases."""

    index: EmbeddedCases
    queries: EmbeddedCases
    validation: EmbeddedCases | None = None


@dataclass(frozen=True)
class EncoderStudy:
    """The whole result.

    Attributes:
        origin: where it comes from: encoder, data, commit, settings.
        other: the evaluation of the encoder compared with, if any.
    """

    origin: Mapping[str, Json]
    queries: EmbeddedCases
    evaluation: EncoderEvaluation
    probes: tuple[SiteProbe, ...]
    projection: Projection | None
    other: EncoderEvaluation | None = None
    comparison: Comparison | None = None


def study_encoder(
    cases: EncoderCases,
    *,
    origin: Mapping[str, Json],
    other: EncoderCases | None = None,
    options: EvaluationOptions | None = None,
    num_permutations: int = 100,
    on_stage: Callable[[str], None] | None = None,
) -> EncoderStudy:
    """Measure an encoder in every way; `other` is compared with it on the same cases.

    Raises:
        ManifestError: index or queries are empty, or `other` saw other queries.
    """
    options = options or EvaluationOptions()
    tell = on_stage or (lambda _stage: None)
    tell("figures")
    evaluation = evaluate(cases.index, cases.queries, validation=cases.validation, options=options)
    other_evaluation, comparison = None, None
    if other is not None:
        tell("comparison")
        other_evaluation = evaluate(
            other.index, other.queries, validation=other.validation, options=options
        )
        comparison = compare(
            _judged(cases, evaluation),
            _judged(other, other_evaluation),
            num_resamples=options.num_resamples,
            seed=options.seed,
        )
    tell("site probe")
    probes = _probes(cases.queries, options, num_permutations)
    tell("projection")
    return EncoderStudy(
        origin=origin,
        queries=cases.queries,
        evaluation=evaluation,
        probes=probes,
        projection=project(cases.queries, seed=options.seed),
        other=other_evaluation,
        comparison=comparison,
    )


def _judged(cases: EncoderCases, evaluation: EncoderEvaluation) -> Judged:
    num_neighbours = max(evaluation.options.ranks)
    hits = find_hits(cases.queries, cases.index, num_neighbours=num_neighbours)
    return Judged(cases.queries, hits, evaluation.judgement())


def _probes(
    queries: EmbeddedCases, options: EvaluationOptions, num_permutations: int
) -> tuple[SiteProbe, ...]:
    """Probe sites; scanners too, where they divide the cases in another way."""
    pairs = set(zip(queries.sites.tolist(), queries.scanners.tolist(), strict=True))
    num_sites, num_scanners = len(set(queries.sites)), len(set(queries.scanners))
    same = len(pairs) == num_sites == num_scanners
    return tuple(
        probe_sites(
            queries,
            among=among,
            target=target,
            num_permutations=num_permutations,
            num_resamples=options.num_resamples,
            seed=options.seed,
        )
        for target in (("site",) if same else ("site", "scanner"))
        for among in ("normals", "strokes")
    )
