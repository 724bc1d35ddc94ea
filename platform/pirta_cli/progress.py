"""Progress of a long job: a bar in a terminal, a line every few seconds anywhere else."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

LINE_INTERVAL_S = 5.0

Update = Callable[[int, int, str], None]
"""Called as `update(done, total, note)`."""


@contextmanager
def job_progress(console: Console, title: str) -> Iterator[Update]:
    """Show a job's progress until the block ends."""
    if console.is_terminal:
        with Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
            console=console,
        ) as bar:
            task = bar.add_task(title, total=None, note="")
            yield lambda done, total, note="": bar.update(  # type: ignore[misc]
                task, completed=done, total=total, note=note
            )
        return
    yield _line_writer(console, title)


def _line_writer(console: Console, title: str) -> Update:
    started = time.monotonic()
    last_line = started - LINE_INTERVAL_S

    def update(done: int, total: int, note: str = "") -> None:
        nonlocal last_line
        now = time.monotonic()
        if now - last_line < LINE_INTERVAL_S and done < total:
            return
        last_line = now
        suffix = f" · {note}" if note else ""
        console.print(
            f"{title}: {done}/{total} after {now - started:.0f} s{suffix}",
            highlight=False,
            soft_wrap=True,
        )

    return update
