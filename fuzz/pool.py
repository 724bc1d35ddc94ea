"""Drives the worker process: one is kept until it dies, hangs, or grows too large.

Linux only: the worker reads its own memory from /proc.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
LIMIT_S = 10.0
SLACK_S = 90.0
"""For making a case, judging it, and starting a worker: not what is measured."""

MEMORY_BYTES = 2 * 2**30


@dataclass(frozen=True)
class Outcome:
    """What became of one case.

    Attributes:
        outcome: as `fuzz.verdict.Verdict`.
        peak_bytes: resident memory above the worker's baseline.
        printed: whether something was printed or warned on the way.
    """

    index: int
    seed: str
    mutator: str
    notes: tuple[str, ...]
    outcome: str
    detail: str
    read_s: float = 0.0
    peak_bytes: int = 0
    printed: bool = False


class _Gone(Exception):
    """The worker ended."""


class _Silent(Exception):
    """The worker did not answer in time."""


def worker_command(seed: int, real: Path | None) -> list[str]:
    """Return how the worker is started; `real` is the folder of real cases, where there is one."""
    real_cases = [] if real is None else [str(real)]
    return [sys.executable, "-m", "fuzz.worker", str(seed), *real_cases]


class WorkerProcess:
    """One worker, started when it is first needed and after each end.

    Args:
        limit_s: for reading a case, by the clock; time in which others had the core is not
            counted.
    """

    def __init__(self, command: Sequence[str], *, limit_s: float = LIMIT_S) -> None:
        self._command, self._limit_s = command, limit_s
        self._process: subprocess.Popen[bytes] | None = None
        self._rest = b""
        self._baseline = 0

    def __enter__(self) -> WorkerProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def run(self, indices: Iterable[int]) -> Iterator[Outcome]:
        """Yield the outcome of each case, in order."""
        for index in indices:
            yield self._one(index)

    def _one(self, index: int) -> Outcome:
        made: dict[str, Any] = {"seed": "?", "mutator": "?", "notes": []}
        read: dict[str, Any] = {}
        stage = "made"
        try:
            self._send(index)
            made = self._hear(SLACK_S)
            stage = "read"
            read = self._hear(self._limit_s, waited_s=_waited_s(self._pid))
            stage = "judged"
            judged = self._hear(SLACK_S)
        except _Gone as error:
            judged = {"outcome": "fault", "detail": f"the worker died ({error}) before '{stage}'"}
        except _Silent:
            judged = {"outcome": "fault", "detail": f"no answer before '{stage}' in time"}
            self._end()
        peak = max(0, read.get("peak_bytes", 0) - self._baseline)
        if peak > MEMORY_BYTES:
            judged = {"outcome": "fault", "detail": f"took {peak / 2**20:.0f} MB"}
        return Outcome(
            index=index,
            seed=made["seed"],
            mutator=made["mutator"],
            notes=tuple(made["notes"]),
            outcome=judged["outcome"],
            detail=judged["detail"],
            read_s=read.get("read_s", 0.0),
            peak_bytes=peak,
            printed=bool(read.get("printed")),
        )

    def _send(self, index: int) -> None:
        if self._process is None or self._process.poll() is not None:
            self._start()
        assert self._process is not None
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(f"{index}\n".encode())
            self._process.stdin.flush()
        except BrokenPipeError:
            raise _Gone("on the way") from None

    def _start(self) -> None:
        self._end()
        self._rest = b""
        self._process = subprocess.Popen(
            self._command,
            cwd=ROOT,
            env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONFAULTHANDLER": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        try:
            self._baseline = self._hear(SLACK_S)["baseline_bytes"]
        except (_Gone, _Silent) as error:
            raise RuntimeError(f"The fuzz worker cannot start ({error}).") from error

    @property
    def _pid(self) -> int:
        return 0 if self._process is None else self._process.pid

    def _hear(self, timeout_s: float, *, waited_s: float | None = None) -> dict[str, Any]:
        """Return the next line; with `waited_s`, waiting for a core since then adds time."""
        assert self._process is not None
        assert self._process.stdout is not None
        until = time.monotonic() + timeout_s
        while b"\n" not in self._rest:
            left_s = until - time.monotonic()
            if waited_s is not None:
                left_s += max(0.0, _waited_s(self._pid) - waited_s)
            if left_s <= 0:
                raise _Silent
            if not select.select([self._process.stdout], [], [], left_s)[0]:
                continue
            data = os.read(self._process.stdout.fileno(), 2**16)
            if not data:
                raise _Gone(f"exit code {self._process.wait()}")
            self._rest += data
        line, _, self._rest = self._rest.partition(b"\n")
        found: dict[str, Any] = json.loads(line)
        return found

    def _end(self) -> None:
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        self._process = None


def _waited_s(pid: int) -> float:
    """Return for how long a process was ready and others had the core; 0 once it is gone."""
    try:
        words = Path(f"/proc/{pid}/schedstat").read_text(encoding="ascii").split()
    except OSError:
        return 0.0
    return int(words[1]) / 1e9
