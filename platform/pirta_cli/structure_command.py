"""`pirta structure`: raw radiology reports to a table of proposed findings for a neuroradiologist.

Nothing it writes is final: every row has an empty `verified` column, and the unsure ones stand
in a file of their own. No text is printed.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pirta_cli.options import SettingsOption

if TYPE_CHECKING:
    from pirta.reporting.structuring.result import ReportReader


def structure(
    reports: Annotated[
        Path, typer.Argument(help="CSV, Parquet or JSON lines (.jsonl), one report a row.")
    ],
    out: Annotated[
        Path, typer.Argument(help="Folder for findings.csv, review.csv, refused.csv, summary.json.")
    ],
    text_column: Annotated[str, typer.Option(help="Column with the report's text.")] = "text",
    id_column: Annotated[
        str, typer.Option(help="Column with a pseudonymous id; the row's number where it is empty.")
    ] = "case_id",
    encoding: Annotated[
        str, typer.Option(help="Of CSV and JSON lines; Korean Windows writes cp949.")
    ] = "utf-8-sig",
    llm: Annotated[
        bool,
        typer.Option("--llm", help="Let the model of writer.base_path read too, and compare."),
    ] = False,
    keep_identifiers: Annotated[
        bool,
        typer.Option(
            "--keep-identifiers", help="Leave names, dates and numbers in the quoted texts."
        ),
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace tables that may hold corrections.")
    ] = False,
    settings: SettingsOption = None,
) -> None:
    """Propose the paper's structured finding of each raw report, for a person to correct.

    Rules read class, infarct type, territory, side, number, stage and negation, and name the
    sentence and the rule behind each. Where they are unsure, or a second reader (--llm)
    disagrees, the report goes to OUT/review.csv with its reason. Rows without a report go to
    OUT/refused.csv with a code. Quoted texts are de-identified.
    """
    from rich.console import Console

    from pirta.reporting.structuring.report_files import read_reports
    from pirta.reporting.structuring.rules import RuleReader
    from pirta.reporting.structuring.run import Readers, structure_reports
    from pirta_cli.progress import job_progress

    console = Console(stderr=True)
    readers = Readers(RuleReader(), _second_reader(settings) if llm else None)
    rows = list(
        read_reports(reports, text_column=text_column, id_column=id_column, encoding=encoding)
    )
    with job_progress(console, "structure") as update:
        summary = structure_reports(
            rows,
            out,
            readers,
            keep_identifiers=keep_identifiers,
            overwrite=overwrite,
            on_row=lambda done: update(done, len(rows), ""),
        )
    states = ", ".join(f"{count} {state}" for state, count in sorted(summary.states.items()))
    console.print(
        f"{summary.num_rows} rows: {states or 'no report'}; {summary.num_review} for review, "
        f"{summary.num_refused} refused. Proposals, not final: {out}",
        highlight=False,
        soft_wrap=True,
    )


def _second_reader(settings: Path | None) -> ReportReader:
    from pirta.reporting.structuring.llm_reader import LlmReader
    from pirta.reporting.structuring.vllm_completion import VllmCompletion
    from pirta.settings import load_settings

    return LlmReader(VllmCompletion(load_settings(settings).writer))
