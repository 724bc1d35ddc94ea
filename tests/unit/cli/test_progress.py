"""Progress where nobody watches: one line a time, whatever its length."""

from __future__ import annotations

import io

from rich.console import Console

from pirta_cli.progress import job_progress


def test_in_a_log_each_step_is_one_line_however_long_its_note() -> None:
    log = io.StringIO()
    with job_progress(Console(file=log, width=40), "preprocess") as update:
        update(0, 479, "x" * 100)
        update(479, 479, "y" * 100)
    lines = log.getvalue().splitlines()
    assert [line.split()[1] for line in lines] == ["0/479", "479/479"]
    assert lines[1].endswith("y" * 100)
