"""A cohort's studies onto the encoder's grid, with Ray Data: one study a row.

Each worker is an actor that loads the skull stripper once, writes a study's arrays itself and
hands on a row of text. A study that cannot be used becomes a dead letter with its code and
reason; it stops nothing and is never lost. Finished studies are noted every few rows, so a run
that is cut off goes on from there, and a run that ended has nothing to do; refused studies are
tried again, since their files may have been mended. How a study is prepared is
`pirta.imaging.prepare`, how it is stored `pirta.cohort.prepared_store`.
"""

from __future__ import annotations

import os
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

import ray

from pirta.cohort.prepared_store import (
    CaseArrays,
    PreparedCase,
    RefusedCase,
    close_run,
    from_row,
    open_run,
    read_done,
    to_row,
    write_case,
    write_part,
)
from pirta.cohort.table import read_cohort, resolve_uri
from pirta.contracts.case import CaseRecord
from pirta.contracts.study import StudyImages
from pirta.errors import PirtaError
from pirta.imaging.nifti import read_file
from pirta.imaging.prepare import fingerprint, prepare_case
from pirta.imaging.strip import make_stripper
from pirta.pipelines.local_ray import affordable_workers, cpus_for, quiet_ray_data, ray_running
from pirta.settings import PreprocessingSettings, Settings

SHARD_CASES = 256  # one Ray Data execution: bounds what the driver plans at a time
PART_CASES = 16  # what a crash can lose at the most
WORKER_MEMORY_BYTES = 2 * 1024**3  # deepbet at 256³ peaked at 1.3 GiB with torch loaded

Row: TypeAlias = dict[str, str | None]


@dataclass(frozen=True)
class Progress:
    """How far a run is. `rate_per_s` counts this run only; `remaining_s` is None at its start."""

    num_done: int
    num_refused: int
    num_total: int
    rate_per_s: float
    remaining_s: float | None


@dataclass(frozen=True)
class PreprocessSummary:
    """What a run left behind: prepared and refused cases of the whole cohort, its own time."""

    num_done: int
    num_refused: int
    seconds: float


def preprocess_cohort(
    cohort_path: str,
    out: str,
    *,
    settings: Settings | PreprocessingSettings,
    num_workers: int,
    on_progress: Callable[[Progress], None],
) -> PreprocessSummary:
    """Prepare every study of a cohort into the store at `out`.

    Ray is started for the run where it is not running yet. `num_workers` is cut down to what
    the cluster's CPUs and memory carry.

    Raises:
        ManifestError: the cohort table, or a store that is already there, cannot be read.
    """
    chosen = settings.preprocessing if isinstance(settings, Settings) else settings
    cases = read_cohort(cohort_path)
    run = _Run(out, cases, fingerprint(chosen), on_progress)
    if run.waiting:
        open_run(out)
        arguments = {"settings": chosen, "cohort_path": cohort_path, "out": out}
        try:
            with ray_running(cpus_for(num_workers)), quiet_ray_data():
                for start in range(0, len(run.waiting), SHARD_CASES):
                    shard = run.waiting[start : start + SHARD_CASES]
                    for row in _prepare_shard(shard, arguments, num_workers):
                        run.take(row)
        finally:
            run.note_done()  # Ctrl-C loses nothing that came back, a kill at most a part
        run.close()
    return run.summary()


class _Run:
    """The driver's book: what is done, what is refused, and what a crash may not lose."""

    def __init__(
        self,
        out: str,
        cases: list[CaseRecord],
        print_: str,
        on_progress: Callable[[Progress], None],
    ) -> None:
        self._out, self._cases, self._on_progress = out, cases, on_progress
        known = {one.case.case_id: one for one in read_done(out)}
        self._done: dict[str, PreparedCase] = {
            case.case_id: known[case.case_id]
            for case in cases
            if case.case_id in known
            and known[case.case_id].case == case
            and known[case.case_id].fingerprint == print_
        }
        self._refused: dict[str, RefusedCase] = {}
        self._unnoted: list[PreparedCase] = []
        self._started = time.monotonic()
        self.waiting = [case for case in cases if case.case_id not in self._done]
        self._report()

    def take(self, row: Row) -> None:
        """Book one outcome and tell how far the run is."""
        if row["code"]:
            case_id = row["case_id"] or ""
            self._refused[case_id] = RefusedCase(case_id, row["code"], row["reason"] or "")
        else:
            prepared = from_row(row)
            self._done[prepared.case.case_id] = prepared
            self._unnoted.append(prepared)
            if len(self._unnoted) >= PART_CASES:
                self.note_done()
        self._report()

    def note_done(self) -> None:
        """Write down what is done and not noted yet."""
        if self._unnoted:
            write_part(self._out, self._unnoted)
            self._unnoted = []

    def close(self) -> None:
        """Write the store's tables, in the cohort's order."""
        order = [case.case_id for case in self._cases]
        missing = [one for one in order if one not in self._done and one not in self._refused]
        assert not missing, f"{len(missing)} cases came back neither done nor refused"
        close_run(
            self._out,
            [self._done[one] for one in order if one in self._done],
            [self._refused[one] for one in order if one in self._refused],
        )

    def summary(self) -> PreprocessSummary:
        """Return the counts so far and the time since the start."""
        seconds = time.monotonic() - self._started
        return PreprocessSummary(len(self._done), len(self._refused), seconds)

    def _report(self) -> None:
        seconds = time.monotonic() - self._started
        num_out = len(self._done) + len(self._refused)
        num_new = num_out - (len(self._cases) - len(self.waiting))
        rate = num_new / seconds if seconds > 0 else 0.0
        remaining = (len(self._cases) - num_out) / rate if rate > 0 else None
        self._on_progress(
            Progress(len(self._done), len(self._refused), len(self._cases), rate, remaining)
        )


class StudyPreparer:
    """One worker: a stripper, and studies one after the other."""

    def __init__(self, *, settings: PreprocessingSettings, cohort_path: str, out: str) -> None:
        self._settings, self._cohort_path, self._out = settings, cohort_path, out
        self._stripper = make_stripper(settings)

    def __call__(self, row: Row) -> Row:
        """Return the row of a prepared case, or of a dead letter; never raises for a study."""
        case = CaseRecord.model_validate_json(row["case_json"] or "")
        empty: Row = dict.fromkeys(
            ("case_json", "array_uri", "mask_uri", "territory_uri", "fingerprint", "facts_json")
        )
        outcome: Row = {**empty, "case_id": case.case_id, "code": None, "reason": None}
        try:
            outcome |= to_row(self._prepare(case))
        except PirtaError as error:
            outcome |= {"code": error.code, "reason": str(error)}
        except Exception as error:  # noqa: BLE001 - the per-item boundary, kept as a dead letter
            outcome |= {"code": PirtaError.code, "reason": _where(error)}
        return outcome

    def _prepare(self, case: CaseRecord) -> PreparedCase:
        found = prepare_case(
            StudyImages(dwi=self._read(case.dwi_uri, "DWI"), adc=self._read(case.adc_uri, "ADC")),
            mask=None if case.mask_uri is None else self._read(case.mask_uri, "mask"),
            territory=(
                None if case.territory_uri is None else self._read(case.territory_uri, "territory")
            ),
            settings=self._settings,
            stripper=self._stripper,
        )
        return write_case(
            self._out,
            case,
            CaseArrays(found.study.volume_CXYZ, found.mask_XYZ, found.territory_XYZ),
            fingerprint=found.study.fingerprint,
            facts=found.study.facts,
        )

    def _read(self, uri: str, role: str) -> bytes:
        return read_file(resolve_uri(self._cohort_path, uri), role=role)


def _where(error: Exception) -> str:
    """Name an unexpected error by kind and place: its text may hold patient data."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" at {os.path.basename(frames[-1].filename)}:{frames[-1].lineno}" if frames else ""
    return f"Unexpected {type(error).__name__}{place}. Please report it."


def _prepare_shard(
    cases: list[CaseRecord], arguments: dict[str, object], num_workers: int
) -> Iterator[Row]:
    """Yield the outcome of each case as soon as it is there, in any order."""
    rows = [{"case_json": case.model_dump_json()} for case in cases]
    num_actors = affordable_workers(min(num_workers, len(rows)), memory_bytes=WORKER_MEMORY_BYTES)
    dataset = ray.data.from_items(rows, override_num_blocks=len(rows)).map(
        StudyPreparer,  # type: ignore[arg-type]  # Ray's stubs know functions only
        fn_constructor_kwargs=arguments,
        compute=ray.data.ActorPoolStrategy(size=num_actors),
        num_cpus=1,
        memory=WORKER_MEMORY_BYTES,
    )
    yield from dataset.iter_rows()
