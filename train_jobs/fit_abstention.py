"""Fit a release's limits of abstention: `python -m train_jobs.fit_abstention --index S:train ...`.

Embeds the index and the held-out cases with one encoder, fits the limits on the held-out ones, and
writes one JSON file: the limits for the release's calibration, what they do on the held-out cases
when cross-fitted, what they do on other data, and the risk-coverage curves.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TypeAlias

import numpy as np

from pirta.cohort.prepared_rows import PreparedCase
from pirta.cohort.prepared_store import read_prepared
from pirta.errors import ManifestError, PirtaError
from pirta.models.checkpoint import current_commit
from pirta.models.runtime import LoadedEncoder, load_encoder
from pirta.reporting.abstention_fit import (
    FitGoal,
    FittedLimits,
    Selective,
    apply_limits,
    cross_fitted,
    fit_limits,
)
from pirta.reporting.risk_coverage import RiskCoverage, risk_coverage
from train_jobs.evaluation_data import DataName, embedded_data, parse_data, studies_sha256
from train_jobs.held_out_evidence import HeldOutEvidence, held_out_evidence

Json: TypeAlias = "str | int | float | bool | list[Json] | Mapping[str, Json] | None"

SHOWN_COVERAGES = (0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
TOP_K = 5


@dataclass(frozen=True)
class FitPlan:
    """What to fit on, what to report on, and where to write; `work` keeps embeddings."""

    index: DataName
    held_out: DataName
    others: tuple[DataName, ...]
    work: Path
    goal: FitGoal = field(default_factory=FitGoal)
    top_k: int = TOP_K


def run_fit(plan: FitPlan, encoder: LoadedEncoder) -> dict[str, Json]:
    """Embed, fit and measure.

    Raises:
        FingerprintError: a store was prepared in another way than the encoder's training data.
        ManifestError, StoreError: a store cannot be used, or holds too few patients.
    """
    named = (plan.index, plan.held_out, *plan.others)
    rows: dict[str, PreparedCase] = {}
    for store in dict.fromkeys(data.store for data in named):
        rows |= {row.case.case_id: row for row in read_prepared(store)}
    index = embedded_data(encoder, plan.index, folder=plan.work)

    def evidence_of(data: DataName) -> HeldOutEvidence:
        queries = embedded_data(encoder, data, folder=plan.work)
        return held_out_evidence(queries, index, rows, top_k=plan.top_k)

    held_out = evidence_of(plan.held_out)
    if len({case.patient_id for case in held_out.cases}) < 2:
        raise ManifestError(
            f"{plan.held_out} holds cases of one patient only.",
            remedy="Limits are fitted on some patients and reported on others: name a larger one.",
        )
    fitted = fit_limits(held_out.cases, plan.goal)
    return {
        "limits": fitted.limits.model_dump(),
        "is_certified": fitted.is_certified,
        "is_reached": fitted.is_reached,
        "goal": asdict(plan.goal),
        "top_k": plan.top_k,
        "held_out": _figures(
            held_out, cross_fitted(held_out.cases, plan.goal), plan.held_out, fitted
        ),
        "others": [
            _figures(found, apply_limits(found.cases, fitted.limits), data, fitted)
            for data in plan.others
            for found in [evidence_of(data)]
        ],
        "index": {"name": plan.index.name, "studies_sha256": studies_sha256(plan.index.store)},
        "encoder_sha256": encoder.sha256,
        "commit": current_commit(Path(__file__).parent),
    }


def _figures(
    found: HeldOutEvidence, selective: Selective, data: DataName, fitted: FittedLimits
) -> dict[str, Json]:
    curve = _curve(found, fitted.limits.quality_factor)
    return {
        "name": data.name,
        "studies_sha256": studies_sha256(data.store),
        "num_cases": selective.num_cases,
        "accuracy": 1 - float(curve.risk_T[-1]),
        "sentence_accuracy": float(np.mean(found.is_same_sentence)),
        "coverage": selective.coverage,
        "selective_accuracy": None if math.isnan(selective.accuracy) else selective.accuracy,
        "num_answered": selective.num_answered,
        "num_wrong": selective.num_wrong,
        "risk_upper_bound": selective.risk_bound,
        "aurc": curve.aurc,
        "accuracy_at_coverage": {
            f"{coverage:g}": curve.accuracy_at(coverage) for coverage in SHOWN_COVERAGES
        },
    }


def _curve(found: HeldOutEvidence, quality_factor: float) -> RiskCoverage:
    confidences = [case.signals.confidence(quality_factor=quality_factor) for case in found.cases]
    return risk_coverage(
        np.array(confidences), np.array([case.is_right for case in found.cases], bool)
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Fit a release's limits of abstention.")
    parser.add_argument("--encoder", required=True, type=Path, help="encoder weights folder")
    parser.add_argument("--index", required=True, help="STORE[:SPLIT] of the index cases")
    parser.add_argument("--held-out", required=True, help="[NAME=]STORE[:SPLIT] to fit on")
    parser.add_argument("--others", nargs="*", default=[], help="[NAME=]STORE[:SPLIT] to report on")
    parser.add_argument("--max-risk", type=float, default=FitGoal.max_risk, help="share of wrong")
    parser.add_argument("--out", required=True, type=Path, help="JSON file to write")
    args = parser.parse_args(arguments)
    try:
        result = run_fit(
            FitPlan(
                index=parse_data(args.index),
                held_out=parse_data(args.held_out),
                others=tuple(parse_data(text) for text in args.others),
                work=args.out.parent,
                goal=FitGoal(max_risk=args.max_risk),
            ),
            load_encoder(args.encoder, device="cpu", num_threads=1),
        )
    except PirtaError as error:
        sys.stderr.write(f"{error}\n")
        raise SystemExit(2) from None
    args.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    sys.stdout.write(f"{json.dumps(result['limits'])}\n")


if __name__ == "__main__":
    main()
