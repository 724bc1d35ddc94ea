"""Measure an encoder: `python -m train_jobs.evaluate_encoder --encoder E --index S --queries S`.

Joins prepared stores, a checkpoint and the metrics: index cases from one store's split, held-out
queries from another's. Prints Markdown, each figure with its interval.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from pirta.cohort.prepared_store import PreparedCase, load_volume, read_prepared
from pirta.errors import FingerprintError, PirtaError
from pirta.evaluation.encoder_evaluation import (
    EncoderEvaluation,
    EvaluationCase,
    evaluate_encoder,
)
from pirta.evaluation.tables import render_markdown
from pirta.models.runtime import load_encoder


def evaluate_stores(
    encoder: Path,
    *,
    index: str,
    index_split: str | None,
    queries: str,
    query_split: str | None,
    top_k: int = 5,
    num_threads: int = 1,
    on_progress: Callable[[int, int], None] | None = None,
) -> EncoderEvaluation:
    """Measure the encoder in a folder on two prepared stores (None takes every split).

    Raises:
        FingerprintError: a store was prepared in another way than the encoder's training data.
        CheckpointError, ManifestError: encoder or stores cannot be used.
    """
    loaded = load_encoder(encoder, device="cpu", num_threads=num_threads)
    return evaluate_encoder(
        loaded,
        index=cases_of(index, index_split, loaded.preprocessing_fingerprint),
        queries=cases_of(queries, query_split, loaded.preprocessing_fingerprint),
        top_k=top_k,
        on_progress=on_progress,
    )


def cases_of(store: str, split: str | None, fingerprint: str) -> list[EvaluationCase]:
    """Return a store's cases for the evaluation.

    Raises:
        FingerprintError: a case was prepared in another way.
    """
    rows = [row for row in read_prepared(store) if split is None or row.case.split == split]
    other = [row for row in rows if row.fingerprint != fingerprint]
    if other:
        raise FingerprintError(
            f"{len(other)} of {len(rows)} cases in {store} have the preprocessing "
            f"{other[0].fingerprint}, the encoder was trained on {fingerprint}.",
            remedy="Preprocess the cohort again with the encoder's settings.",
        )
    return [_case(row) for row in rows]


def _case(row: PreparedCase) -> EvaluationCase:
    return EvaluationCase(
        case_id=row.case.case_id,
        patient_id=row.case.patient_id,
        site=row.case.site,
        label=row.case.label,
        load=partial(load_volume, row.array_uri),
    )


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Measure an encoder on held-out studies.")
    parser.add_argument("--encoder", required=True, type=Path, help="encoder weights folder")
    parser.add_argument("--index", required=True, help="prepared store of the index cases")
    parser.add_argument("--index-split", default=None, help="its split; all where left out")
    parser.add_argument("--queries", required=True, help="prepared store of the queries")
    parser.add_argument("--query-split", default=None, help="its split; all where left out")
    parser.add_argument("--top-k", default=5, type=int, help="neighbours")
    args = parser.parse_args()
    try:
        evaluation = evaluate_stores(
            args.encoder,
            index=args.index,
            index_split=args.index_split,
            queries=args.queries,
            query_split=args.query_split,
            top_k=args.top_k,
        )
    except PirtaError as error:
        sys.stderr.write(f"{error}\n")
        raise SystemExit(2) from None
    sys.stdout.write(render_markdown(evaluation))


if __name__ == "__main__":
    main()
