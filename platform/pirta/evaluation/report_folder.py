"""One folder that holds an encoder's whole study.

    evaluation.json     every figure with its interval, settings, origin, counts, seeds
    evaluation.md       the tables, one page
    figures/*.png       one message each
    embeddings/         what was embedded, kept by the caller for the next run

A figure that is not defined is null in the JSON. Each file is written whole or not at all.
"""

from __future__ import annotations

import json
import math
import os
from dataclasses import asdict, is_dataclass
from pathlib import Path

import numpy as np

from pirta.errors import StoreError
from pirta.evaluation.encoder_study import EncoderStudy
from pirta.evaluation.figures import draw_figures
from pirta.evaluation.tables import render_markdown

FORMAT_VERSION = 1
JSON_NAME, MARKDOWN_NAME, FIGURES = "evaluation.json", "evaluation.md", "figures"


def write_folder(out: Path, study: EncoderStudy) -> None:
    """Write tables and figures.

    Raises:
        StoreError: the folder cannot be written.
    """
    make_folder(out)
    pictures = draw_figures(study)
    text = json.dumps(to_json(study), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    try:
        for name, png in pictures.items():
            write_whole(out / FIGURES / f"{name}.png", png)
        write_whole(out / MARKDOWN_NAME, render_markdown(study).encode())
        write_whole(out / JSON_NAME, text.encode())
    except OSError as error:
        raise unwritable(out, error) from None


def make_folder(out: Path) -> None:
    """Make the folder: what cannot be written to is better known before hours of work.

    Raises:
        StoreError: it cannot be made.
    """
    try:
        (out / FIGURES).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(out, error) from None


def to_json(study: EncoderStudy) -> dict[str, object]:
    """Return everything but the cases themselves, in plain JSON types."""
    projection = study.projection
    plane = None
    if projection is not None:
        plane = {name: value for name, value in vars(projection).items() if name != "plane_QP"}
    content = {
        "format_version": FORMAT_VERSION,
        "origin": study.origin,
        "evaluation": study.evaluation,
        "site_probes": study.probes,
        "projection": plane,
        "comparison": study.comparison,
        "compared_with": study.other,
    }
    return {name: plain(value) for name, value in content.items()}


def unwritable(out: Path, error: OSError) -> StoreError:
    """Return what a folder that cannot be written to is told as."""
    return StoreError(
        f"The evaluation cannot be written to {out}: {error.strerror or error}.",
        remedy="Make room there, or name another --out folder.",
    )


def plain(value: object) -> object:
    """Return the value in JSON's types: what is not defined, NaN, as None."""
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if isinstance(value, dict):
        return {str(name): plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def write_whole(path: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        draft.write_bytes(content)
        draft.replace(path)
    finally:
        if draft.exists():
            draft.unlink()
