"""Options that several commands share, so that they read the same everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

SettingsOption = Annotated[
    Path | None,
    typer.Option(
        "--settings",
        envvar="PIRTA_SETTINGS",
        help="TOML file (docs/SETTINGS.md); PIRTA_* variables win over it.",
    ),
]

WorkersOption = Annotated[
    int, typer.Option("--num-workers", min=1, help="Worker processes, one CPU each.")
]
