"""Measure a writer: `python -m train_jobs.evaluate_writer --index S:train --data S:val --out O`.

Joins prepared stores, an encoder, the writer's engine and the figures: every system writes of the
same held-out cases, with the neighbours that the service would give it. Leaves one folder; what
was embedded is kept there. The engine is handed over as an opened one, so that a test scripts it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import asdict, dataclass
from pathlib import Path

from pirta.cohort.prepared_rows import PreparedCase
from pirta.cohort.prepared_store import read_prepared
from pirta.contracts.abstention import AbstentionLimits
from pirta.contracts.release import Decoding
from pirta.errors import InputError, PirtaError
from pirta.evaluation.embedded_cases import EmbeddedCases, join_cases
from pirta.evaluation.report_folder import make_folder
from pirta.evaluation.writer_evaluation import Json, WriterStudy, study_writers
from pirta.evaluation.writer_folder import write_writer_folder
from pirta.evaluation.writer_reports import ToldReport
from pirta.evaluation.writer_tables import render_writers
from pirta.models.checkpoint import current_commit
from pirta.models.runtime import LoadedEncoder, load_encoder
from pirta.pipelines.fitted_limits import read_fitted_limits
from pirta.reporting.prompt import prompt_sha256
from pirta.settings import SHIPPED_WEIGHTS, WriterSettings
from train_jobs.evaluation_data import DataName, embedded_data, parse_data, studies_sha256
from train_jobs.poisoned_evidence import poisoned_queries
from train_jobs.writer_curves import risk_curves
from train_jobs.writer_engine import (
    AnswerEngine,
    RememberedAnswers,
    check_adapter,
    engine_arguments,
    open_engine,
)
from train_jobs.writer_plan import WriterPlan
from train_jobs.writer_queries import (
    WriterQuery,
    index_cases,
    read_patients,
    usual_findings,
    writer_queries,
)
from train_jobs.writer_systems import POISONED, ROLES, System, SystemParts, systems

Progress = Callable[[int, int, str], None]
"""Called as `progress(done, total, what)`."""


@dataclass(frozen=True)
class _Asked:
    """What the systems are asked of, and with which limits."""

    queries: list[WriterQuery]
    index: EmbeddedCases
    rows: Mapping[str, PreparedCase]
    limits: AbstentionLimits
    num_left_out: int


def run_writer_evaluation(
    plan: WriterPlan,
    *,
    engine: AbstractAsyncContextManager[AnswerEngine] | None = None,
    on_progress: Progress | None = None,
) -> WriterStudy:
    """Measure as planned, and write the folder.

    Args:
        engine: asked in place of the plan's own, which is vLLM with its base and adapter.

    Raises:
        InputError: no data, or two under one name.
        CheckpointError, FingerprintError, ManifestError, StoreError: a part cannot be used.
        UnavailableError, TrainingError: the engine is not there, or does not start.
    """
    names = [one.name for one in plan.data]
    if not names or len(set(names)) < len(names):
        raise InputError(
            f"An evaluation needs data, each under a name of its own; given: {names or 'none'}.",
            remedy="Name them apart by --data NAME=STORE:SPLIT.",
        )
    make_folder(plan.out)
    tell = on_progress or (lambda _done, _total, _what: None)
    writer = check_adapter(plan.base, plan.adapter)
    encoder = load_encoder(plan.encoder, device="cpu", num_threads=plan.num_threads)
    asked = _prepare(plan, encoder, tell)
    if engine is None:
        engine = open_engine(
            plan.base,
            plan.adapter,
            plan.writer,
            decoding=Decoding(max_answer_tokens=plan.writer.max_answer_tokens),
            on_stage=lambda stage: tell(0, 1, stage),
        )
    study = asyncio.run(_measure(plan, asked, engine, _origin(plan, asked, encoder, writer), tell))
    write_writer_folder(plan.out, study)
    return study


def _prepare(plan: WriterPlan, encoder: LoadedEncoder, tell: Progress) -> _Asked:
    def of(data: DataName) -> EmbeddedCases:
        return embedded_data(
            encoder,
            data,
            folder=plan.out,
            on_case=lambda done, total: tell(done, total, data.name),
        )

    left_out = read_patients(plan.without_patients)
    limits = AbstentionLimits()
    if plan.limits is not None:
        limits = read_fitted_limits(plan.limits, encoder_sha256=encoder.sha256, top_k=plan.top_k)
    rows: dict[str, PreparedCase] = {}
    for store in dict.fromkeys(data.store for data in (plan.index, *plan.data)):
        rows |= {row.case.case_id: row for row in read_prepared(store)}
    index = of(plan.index)
    every = writer_queries(
        join_cases([of(one) for one in plan.data]), index, rows, top_k=plan.top_k
    )
    queries = [query for query in every if query.case.patient_id not in left_out]
    return _Asked(queries, index, rows, limits, len(every) - len(queries))


async def _measure(
    plan: WriterPlan,
    asked: _Asked,
    engine: AbstractAsyncContextManager[AnswerEngine],
    origin: Mapping[str, Json],
    tell: Progress,
) -> WriterStudy:
    cases = index_cases(asked.index, asked.rows)
    poisoned = [
        one
        for number in range(1, plan.top_k + 1)
        for one in poisoned_queries(
            asked.queries, cases, num_poisoned=number, seed=plan.options.seed
        )
    ]
    async with engine as opened:
        parts = SystemParts(RememberedAnswers(opened), asked.limits, usual_findings(cases))
        every = systems(parts)
        told = {
            name: await _ask_all(system, asked.queries, name, tell)
            for name, system in every.items()
        }
        told_poisoned = {
            name: await _ask_all(
                every[name], [one.query for one in poisoned], f"{name}, poisoned", tell
            )
            for name in POISONED
        }
    tell(1, 1, "figures")
    of_cases = [query.case for query in asked.queries]
    return study_writers(
        of_cases,
        told,
        roles=ROLES,
        origin=origin,
        curves=risk_curves(of_cases, told[ROLES.always], told[ROLES.product]),
        poisoned=([one.trial for one in poisoned], told_poisoned),
        options=plan.options,
    )


async def _ask_all(
    system: System, queries: Sequence[WriterQuery], name: str, tell: Progress
) -> list[ToldReport]:
    done = 0

    async def ask(query: WriterQuery) -> ToldReport:
        nonlocal done
        told = await system(query)
        done += 1
        tell(done, len(queries), name)
        return told

    return list(await asyncio.gather(*(ask(query) for query in queries)))


def _origin(
    plan: WriterPlan, asked: _Asked, encoder: LoadedEncoder, writer: tuple[str, str]
) -> dict[str, Json]:
    return {
        "command": plan.command(),
        "commit": current_commit(Path(__file__).parent),
        "encoder_sha256": encoder.sha256,
        "writer_base_sha256": writer[0],
        "writer_adapter_sha256": writer[1],
        "prompt_sha256": prompt_sha256(),
        "engine": engine_arguments(plan.writer),
        "top_k": plan.top_k,
        "limits": asked.limits.model_dump(),
        "limits_fitted_on": _fitted_on(plan),
        "index": {**_data_origin(plan.index), "num_cases": len(asked.index)},
        "data": [
            {
                **_data_origin(one),
                "num_cases": sum(query.case.dataset == one.name for query in asked.queries),
            }
            for one in plan.data
        ],
        "num_left_out": asked.num_left_out,
    }


def _fitted_on(plan: WriterPlan) -> dict[str, Json] | None:
    """What the limits' file says that it was fitted on, and which data are of that store."""
    if plan.limits is None:
        return None
    content = json.loads(plan.limits.read_text(encoding="utf-8"))
    held_out = content.get("held_out", {})
    seen = held_out.get("studies_sha256")
    same = [one.name for one in plan.data if studies_sha256(one.store) == seen]
    return {"name": held_out.get("name"), "studies_sha256": seen, "seen_in": list(same)}


def _data_origin(data: DataName) -> dict[str, Json]:
    return {**asdict(data), "studies_sha256": studies_sha256(data.store)}


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    usual = WriterSettings()
    parser = argparse.ArgumentParser(description="Measure a report writer on held-out studies.")
    parser.add_argument("--encoder", type=Path, default=SHIPPED_WEIGHTS / "encoder")
    parser.add_argument("--writer-base", type=Path, default=usual.base_path)
    parser.add_argument("--writer-adapter", type=Path, default=usual.adapter_path)
    parser.add_argument("--index", required=True, help="STORE[:SPLIT] of the index cases")
    parser.add_argument("--data", required=True, nargs="+", help="[NAME=]STORE[:SPLIT] of queries")
    parser.add_argument("--limits", type=Path, help="file of train_jobs.fit_abstention")
    parser.add_argument(
        "--without-patients", type=Path, help="patients that do not ask, a line each"
    )
    parser.add_argument("--out", required=True, type=Path, help="folder to fill")
    args = parser.parse_args(arguments)
    try:
        study = run_writer_evaluation(
            WriterPlan(
                encoder=args.encoder,
                base=args.writer_base,
                adapter=args.writer_adapter,
                index=parse_data(args.index),
                data=tuple(parse_data(text) for text in args.data),
                out=args.out,
                limits=args.limits,
                without_patients=args.without_patients,
            )
        )
    except PirtaError as error:
        sys.stderr.write(f"{error}\n")
        raise SystemExit(2) from None
    sys.stdout.write(render_writers(study))


if __name__ == "__main__":
    main()
