"""One folder that holds a whole study of writers, in the form of an encoder's (`report_folder`).

    evaluation.json     every figure with its interval, settings, origin, counts, seeds
    evaluation.md       the tables, one page
    figures/*.png       one message each

It holds no report and no registry row: those repeat what is known of a patient.
"""

from __future__ import annotations

import json
from pathlib import Path

from pirta.evaluation.report_folder import (
    FIGURES,
    JSON_NAME,
    MARKDOWN_NAME,
    make_folder,
    plain,
    unwritable,
    write_whole,
)
from pirta.evaluation.writer_evaluation import WriterStudy
from pirta.evaluation.writer_pictures import draw_writers
from pirta.evaluation.writer_tables import render_writers

FORMAT_VERSION = 1


def write_writer_folder(out: Path, study: WriterStudy) -> None:
    """Write tables and figures.

    Raises:
        StoreError: the folder cannot be written.
    """
    make_folder(out)
    pictures = draw_writers(study)
    text = json.dumps(writers_to_json(study), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    try:
        for name, png in pictures.items():
            write_whole(out / FIGURES / f"{name}.png", png)
        write_whole(out / MARKDOWN_NAME, render_writers(study).encode())
        write_whole(out / JSON_NAME, text.encode())
    except OSError as error:
        raise unwritable(out, error) from None


def writers_to_json(study: WriterStudy) -> dict[str, object]:
    """Return everything in plain JSON types; what is not defined is null."""
    content = {"format_version": FORMAT_VERSION, **vars(study)}
    content["comparisons"] = [{"sentence": str(one), **vars(one)} for one in study.comparisons]
    return {name: plain(value) for name, value in content.items()}
