"""`pirta writer-manifest`: make a downloaded language model a base that releases can name."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def writer_manifest(
    base: Annotated[
        Path, typer.Argument(help="Folder of an instruction-tuned Llama with its tokenizer.")
    ],
    source: Annotated[
        str, typer.Option(help="Where it comes from, name and revision, for the record.")
    ],
) -> None:
    """Write manifest.json beside a downloaded base: the hash of every file, and its source.

    A folder that has one already is checked against it. Every file is read once: minutes for a
    large model. Do this before an adapter is trained on the base.
    """
    from pirta.models.adopted_base import adopt_base

    manifest = adopt_base(base, source=source)
    typer.echo(f"{base}: {len(manifest.files)} files, {manifest.kind} {manifest.sha256}")
