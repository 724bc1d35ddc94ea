"""Entry point of the `pirta` command: puts the command groups together, and ends for people.

A PirtaError becomes one line on standard error and exit code 2. Heavy imports stay inside the
commands, so that `--help` answers at once.
"""

from __future__ import annotations

import os
import sys

import typer

from pirta.errors import PirtaError
from pirta_cli import (
    case_commands,
    cohort_commands,
    demo_command,
    evaluate_commands,
    preprocess_command,
    pseudonym_command,
    release_commands,
    report_command,
    serve_command,
    structure_command,
    train_commands,
    writer_manifest_command,
    writer_memory_command,
)

EXIT_USER_ERROR = 2

app = typer.Typer(
    name="pirta",
    help="Radiology reports from diffusion MRI, grounded in retrieved, verified cases. "
    "Research use only.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.command("demo")(demo_command.demo)
app.add_typer(cohort_commands.app, name="cohort")
app.command("preprocess")(preprocess_command.preprocess)
app.command("pseudonym")(pseudonym_command.pseudonym)
app.add_typer(train_commands.app, name="train")
app.add_typer(release_commands.app, name="release")
app.add_typer(case_commands.app, name="case")
app.command("serve")(serve_command.serve)
app.command("report")(report_command.report)
app.command("structure")(structure_command.structure)
app.add_typer(evaluate_commands.app, name="evaluate")
app.command("writer-manifest")(writer_manifest_command.writer_manifest)
app.command("writer-memory")(writer_memory_command.writer_memory)


def main() -> None:
    """Run the command line."""
    # Nothing may be fetched at run time: weights come from disk, named in the settings.
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")  # its own words are no use to a reader
    try:
        app()
    except PirtaError as error:
        sys.stderr.write(f"error [{error.code}]: {error}\n")
        raise SystemExit(EXIT_USER_ERROR) from None


if __name__ == "__main__":
    main()
