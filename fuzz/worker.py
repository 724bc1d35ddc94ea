"""The process that reads damaged studies: bounded in memory, watched from outside (`pool`).

`python -m fuzz.worker SEED [REAL]` takes a case number a line and answers in lines of JSON: one
when the study is made, one when it was read, one when the answer was judged. Whatever the
readers print goes to a file that is looked through for the patient's marks.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import tempfile
import time
import traceback
import warnings
from pathlib import Path
from typing import IO

from fuzz.cases import Case, Cases
from fuzz.corpus import Seed, real_seeds
from fuzz.study import leaks
from fuzz.verdict import Answer, Verdict, judge_answer, judge_refusal, sound_pair
from pirta.errors import PirtaError
from pirta.imaging.pair import check_pair
from pirta.imaging.prepare import prepare_study
from pirta.imaging.read_pair import read_pair
from pirta.imaging.strip import AlreadyStrippedStripper
from pirta.settings import PreprocessingSettings

MEMORY_BYTES = 2 * 2**30
"""Above what the process needs before it reads anything."""

SETTINGS = PreprocessingSettings(stripper="already-stripped", n4_iterations=(2,))


class Worker:
    """Reads cases and says what became of them."""

    def __init__(self, cases: Cases, out: IO[str], printed: IO[bytes]) -> None:
        self._cases, self._out, self._printed = cases, out, printed
        self._sound: dict[str, Answer] = {}

    def warm_up(self) -> None:
        """Read the sound small studies, so that what is loaded once is loaded."""
        for seed in (*self._cases.small, *self._cases.prepared):
            self._sound_answer(seed)

    def run(self, index: int) -> None:
        """Read and judge one case."""
        case = self._cases[index]
        self._say(stage="made", seed=case.seed.name, mutator=case.mutator, notes=case.study.notes)
        _forget_peak()
        self._printed.truncate(0)
        started = time.perf_counter() - _waited_s()
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            answer, verdict = _read(case)
        read_s = time.perf_counter() - _waited_s() - started
        printed = self._what_was_printed() + "".join(f"{one.message}\n" for one in warned)
        if found := leaks(printed):
            verdict = Verdict("fault", f"printed the patient's {found}")
        elif warned and verdict is None:
            verdict = Verdict("fault", f"warned: {warned[0].message}"[:300])
        self._say(stage="read", read_s=read_s, peak_bytes=_status("VmHWM"), printed=len(printed))
        if verdict is None:
            assert answer is not None
            verdict = judge_answer(case, answer, self._sound_answer(case.seed))
        self._say(stage="judged", outcome=verdict.outcome, detail=verdict.detail)

    def _sound_answer(self, seed: Seed) -> Answer:
        if seed.name not in self._sound:
            self._sound[seed.name] = (
                _prepare(seed) if seed.through == "prepare_study" else sound_pair(seed)
            )
        return self._sound[seed.name]

    def _what_was_printed(self) -> str:
        sys.stderr.flush()
        self._printed.seek(0)
        return self._printed.read().decode("latin-1")

    def _say(self, **fields: object) -> None:
        self._out.write(json.dumps(fields) + "\n")
        self._out.flush()


def _prepare(seed: Seed) -> Answer:
    images = seed.study.images()
    return prepare_study(images, settings=SETTINGS, stripper=AlreadyStrippedStripper())


def _read(case: Case) -> tuple[Answer | None, Verdict | None]:
    """Return the answer, or the verdict where there is none."""
    try:
        images = case.study.images()
        if case.seed.through == "read_pair":
            pair = read_pair(images)
            check_pair(pair.dwi, pair.adc)  # as `prepare_case` does at once
            return pair, None
        stripper = AlreadyStrippedStripper()
        return prepare_study(images, settings=SETTINGS, stripper=stripper), None
    except PirtaError as error:
        return None, judge_refusal(error)
    except Exception as error:  # noqa: BLE001 - this is what is looked for
        place = error.__traceback__
        while place is not None and place.tb_next is not None:
            place = place.tb_next
        where = f"{Path(place.tb_frame.f_code.co_filename).name}:{place.tb_lineno}" if place else ""
        return None, Verdict("fault", f"{type(error).__name__} at {where}: {error}"[:300])


def _status(name: str) -> int:
    """Return a line of /proc/self/status in bytes."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1]) * 1024
    raise LookupError(name)


def _waited_s() -> float:
    """Return for how long this process was ready and others had the core."""
    return int(Path("/proc/self/schedstat").read_text(encoding="ascii").split()[1]) / 1e9


def _forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def main(arguments: list[str]) -> int:
    """Serve case numbers until the input ends."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    complaints = os.fdopen(os.dup(2), "w", encoding="utf-8")
    with tempfile.TemporaryFile() as printed:
        os.dup2(printed.fileno(), 1)
        os.dup2(printed.fileno(), 2)
        real = real_seeds(Path(arguments[1])) if len(arguments) > 1 else []
        worker = Worker(Cases(int(arguments[0]), real=real), out, printed)
        worker.warm_up()
        limit = _status("VmSize") + MEMORY_BYTES
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        ready = {"stage": "ready", "baseline_bytes": _status("VmRSS")}
        out.write(json.dumps(ready) + "\n")
        out.flush()
        for line in sys.stdin:
            try:
                worker.run(int(line))
            except Exception:
                # The fuzzer's own mistake: the readers' are caught where they read.
                traceback.print_exc(file=complaints)
                raise
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
