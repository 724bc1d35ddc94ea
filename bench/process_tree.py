"""CPU seconds and memory of this process and of all that it started, sampled while a block runs.

A process that ends keeps what was last seen of it, so up to one sample of its CPU time is lost.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import psutil

SAMPLE_S = 1.0  # a walk over all processes costs milliseconds of CPU
WORKER = "StudyPreparer"


@dataclass
class TreeUse:
    """What was seen of the tree.

    Attributes:
        cpu_s: by process, since the block began.
        peak_mb: by role, "driver" or "worker": the largest resident set of one process.
        peak_sum_mb: of all processes together.
    """

    cpu_s: dict[int, float] = field(default_factory=dict)
    peak_mb: dict[str, float] = field(default_factory=dict)
    peak_sum_mb: float = 0.0

    @property
    def total_cpu_s(self) -> float:
        """CPU seconds of all processes."""
        return sum(self.cpu_s.values())


@contextmanager
def watched_tree() -> Iterator[TreeUse]:
    """Give the use of the tree, filled while the block runs."""
    use, ended = TreeUse(), threading.Event()
    root = psutil.Process()
    before = _cpu_s(root)

    def watch() -> None:
        while not ended.wait(SAMPLE_S):
            _sample(root, use, before)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield use
    finally:
        _sample(root, use, before)
        ended.set()
        watcher.join()


def _sample(root: psutil.Process, use: TreeUse, before: float) -> None:
    total_mb = 0.0
    for process in [root, *root.children(recursive=True)]:
        try:
            own = process.pid == root.pid
            use.cpu_s[process.pid] = _cpu_s(process) - (before if own else 0.0)
            resident_mb = process.memory_info().rss / 1024**2
            role = "driver" if own else _role(process)
        except (psutil.NoSuchProcess, psutil.ZombieProcess):
            continue
        total_mb += resident_mb
        use.peak_mb[role] = max(use.peak_mb.get(role, 0.0), resident_mb)
    use.peak_sum_mb = max(use.peak_sum_mb, total_mb)


def _role(process: psutil.Process) -> str:
    return "worker" if any(WORKER in word for word in process.cmdline()[:1]) else "ray"


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)
