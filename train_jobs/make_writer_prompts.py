"""Make the writer's training prompts: `python -m train_jobs.make_writer_prompts --encoder E ...`.

From an encoder, an index and held-out cases with known findings come the JSON lines that
`finetune_writer --prompts` takes (`writer_prompts`): registry, the five neighbours that the encoder
finds, the truth. Queries that the encoder may have learnt from are refused (`out_of_fold`), and of
held-out patients only one half is taken (`prompt_patients`): the other is left to measure on.
Beside FILE.jsonl lies FILE.json: encoder, proof, data, mix, and how often simple rules are right.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TypeAlias

import numpy as np

from pirta.cohort.prepared_rows import PreparedCase
from pirta.cohort.prepared_store import read_prepared
from pirta.contracts.finding import label_of
from pirta.errors import ManifestError, PirtaError
from pirta.evaluation.embedded_cases import join_cases
from pirta.models.checkpoint import current_commit
from pirta.models.runtime import LoadedEncoder, load_encoder
from train_jobs.evaluation_data import DataName, embedded_data, parse_data, studies_sha256
from train_jobs.out_of_fold import Fold, TrainingStores, check_out_of_fold, find_fold
from train_jobs.prompt_patients import Half, is_in
from train_jobs.real_prompts import PromptMix, real_examples
from train_jobs.writer_corpus import WriterExample
from train_jobs.writer_folder import write_json
from train_jobs.writer_prompts import examples_sha256, write_examples
from train_jobs.writer_scores import baseline_scores

Json: TypeAlias = "str | int | float | bool | list[Json] | Mapping[str, Json] | None"


@dataclass(frozen=True)
class PromptPlan:
    """What to make prompts of, and where to write; `work` keeps embeddings."""

    index: DataName
    queries: tuple[DataName, ...]
    out: Path
    work: Path
    half: Half = Half.PROMPTS
    mix: PromptMix = field(default_factory=PromptMix)


def make_prompts(plan: PromptPlan, encoder: LoadedEncoder, fold: Fold) -> dict[str, Json]:
    """Embed, retrieve, write the lines, and return what is written beside them.

    Raises:
        OutOfFoldError: the encoder was tuned on a query's patient, or nobody knows.
        FingerprintError: a store was prepared in another way than the encoder's training data.
        ManifestError: a store cannot be used, or no query is left.
    """
    rows: dict[str, PreparedCase] = {}
    for data in (plan.index, *plan.queries):
        rows |= {row.case.case_id: row for row in read_prepared(data.store)}
    parts = []
    for data in plan.queries:
        found = embedded_data(encoder, data, folder=plan.work)
        wanted = found.take(np.array([is_in(plan.half, str(one)) for one in found.patient_ids]))
        check_out_of_fold(fold, wanted.patient_ids.tolist(), name=data.name)
        parts.append(wanted)
    queries = join_cases(parts)
    if not len(queries):
        raise ManifestError(
            f"None of the queries' patients belongs to the half '{plan.half}'.",
            remedy="Name data of more patients.",
        )
    index = embedded_data(encoder, plan.index, folder=plan.work)
    examples = real_examples(queries, index, rows, plan.mix)
    plan.out.parent.mkdir(parents=True, exist_ok=True)
    write_examples(examples, plan.out)
    origin: dict[str, Json] = {
        **_counts(examples, plan.mix.top_k),
        "sha256": examples_sha256(examples),
        "proof": fold.proof,
        "half": plan.half,
        "mix": asdict(plan.mix),
        "encoder_sha256": encoder.sha256,
        "index": _named(plan.index),
        "queries": [_named(data) for data in plan.queries],
        "commit": current_commit(Path(__file__).parent),
    }
    write_json(plan.out.with_suffix(".json"), origin)
    return origin


def _named(data: DataName) -> dict[str, Json]:
    """Name, split and hash of a store; its address is this machine's alone."""
    return {
        "name": data.name,
        "split": data.split,
        "studies_sha256": studies_sha256(data.store),
    }


def _counts(examples: Sequence[WriterExample], top_k: int) -> dict[str, Json]:
    poisoned = [one for one in examples if one.poisoned_rank is not None]
    whole = [one for one in examples if one.poisoned_rank is None and len(one.neighbours) == top_k]
    labels = [label_of(one.truth) for one in whole]
    return {
        "num_patients": len({one.patient for one in examples}),
        "num_retrieved": len(whole),
        "num_poisoned": len(poisoned),
        "num_missing": len(examples) - len(whole) - len(poisoned),
        "num_by_label": {str(label): labels.count(label) for label in sorted(set(labels))},
        "retrieved": dict(baseline_scores(whole)) if whole else None,
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    args = _parser().parse_args(arguments)
    try:
        stores = None
        if args.tuned_on is not None:
            stores = TrainingStores(args.tuned_on, args.tuned_guests, args.by_split)
        fold = find_fold(args.encoder, stores)
        made = make_prompts(
            PromptPlan(
                index=parse_data(args.index),
                queries=tuple(parse_data(text) for text in args.queries),
                out=args.out,
                work=args.out.parent,
                half=Half(args.half),
                mix=PromptMix(
                    poisoned_share=args.poisoned_share,
                    missing_share=args.missing_share,
                    seed=args.seed,
                ),
            ),
            load_encoder(args.encoder, device="cpu", num_threads=1),
            fold,
        )
    except PirtaError as error:
        sys.stderr.write(f"{error}\n")
        raise SystemExit(2) from None
    sys.stdout.write(f"{json.dumps(made)}\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Make the writer's training prompts.")
    parser.add_argument("--encoder", required=True, type=Path, help="encoder weights folder")
    parser.add_argument("--index", required=True, help="STORE[:SPLIT] that neighbours come from")
    parser.add_argument("--queries", required=True, nargs="+", help="[NAME=]STORE[:SPLIT]")
    parser.add_argument("--out", required=True, type=Path, help="JSON lines to write: FILE.jsonl")
    parser.add_argument(
        "--tuned-on", help="store that an encoder without a record of its patients was trained on"
    )
    parser.add_argument("--tuned-guests", help="the guests' store of that training, if any")
    parser.add_argument(
        "--by-split",
        action="store_true",
        help="take that store's splits for it, where no hash confirms that it is the same",
    )
    parser.add_argument("--half", default=Half.PROMPTS, choices=list(Half), help="of the patients")
    parser.add_argument("--poisoned-share", type=float, default=PromptMix.poisoned_share)
    parser.add_argument("--missing-share", type=float, default=PromptMix.missing_share)
    parser.add_argument("--seed", type=int, default=PromptMix.seed)
    return parser


if __name__ == "__main__":
    main()
