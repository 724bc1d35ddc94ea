"""An archive's studies onto the encoder's grid, with Ray Data: one study a row, shard by shard.

The manifest is streamed twice: once to check every row and count, once to work. What waits is
cut into shards of a fixed size, one execution each, so that neither the driver's plan nor its
tables grow with the archive; only the studies' keys are held (about 200 bytes each). Workers
commit each study themselves, so a run that is cut off, however, goes on from there, and a run
that ended has nothing to do. Refused studies are tried again by the next run, since their files
may have been mended. A store takes manifest after manifest, from one session at a time. What a
worker does is `pirta.pipelines.preprocess_worker`, how a store is kept `pirta.cohort.shards`.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice

import ray
from ray.exceptions import RayTaskError

from pirta.cohort.prepared_rows import Row
from pirta.cohort.session_lease import Lease, hold_store
from pirta.cohort.shards import Gathered, Planned, Shard, gather, new_shard, shards_of
from pirta.errors import ManifestError, PirtaError, StoreError
from pirta.imaging.strip import make_stripper
from pirta.pipelines.local_ray import (
    affordable_workers,
    cpus_for,
    quiet_ray_data,
    ray_running,
    storage_variables,
)
from pirta.pipelines.preprocess_run import Run, WorkKeys, next_run, plan_cases
from pirta.pipelines.preprocess_worker import StripperMaker, StudyPreparer, Work
from pirta.pipelines.study_source import StudySource, open_source
from pirta.settings import PreprocessingSettings, Settings

_MIN_STUDIES_A_WORKER = 4  # in one execution, so that many workers do not wait at its end
_IN_FLIGHT = 2  # the next study waits at the worker


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
    """What a run left behind.

    Attributes:
        num_done, num_refused: cases of the whole manifest, whichever session did them.
        num_others: cases of earlier manifests that the store holds besides.
        seconds: this session's own time.
    """

    num_done: int
    num_refused: int
    seconds: float
    num_others: int = 0


def preprocess_cohort(
    manifest: str,
    out: str,
    *,
    settings: Settings | PreprocessingSettings,
    num_workers: int,
    on_progress: Callable[[Progress], None],
    stripper: StripperMaker = make_stripper,
    scan_site: str = "unknown",
    links: str | None = None,
) -> PreprocessSummary:
    """Prepare every study of a manifest, or of a folder, into the store at `out`.

    Ray is started for the run where it is not running yet. `num_workers` is cut down to what
    the cluster's CPUs and memory carry.

    Args:
        manifest: a Parquet or CSV table, or a folder to scan; local or any fsspec path.
        stripper: makes a worker's skull stripper.
        scan_site: of the studies of a scanned folder; it decides whose quality limits apply.
        links: where the table that leads from a scan's pseudonyms back to its paths is kept;
            else in the store.

    Raises:
        FingerprintError: the store holds cases beside the manifest's, prepared differently.
        ManifestError: the manifest, or a store that is already there, cannot be used.
        SettingsError: a folder is to be scanned without a key for its pseudonyms.
        StoreError: the store cannot be written, or another session works on it; what is done
            stays.
    """
    chosen = settings if isinstance(settings, Settings) else _with_defaults(settings)
    keys = WorkKeys(chosen)
    source = open_source(manifest, out, chosen.archive, site=scan_site, links=links)
    # A bad row of a table is told before anything is written.
    planned = {} if source.is_folder else plan_cases((case for case, _ in source), keys)
    with hold_store(out) as lease:
        if source.is_folder:
            source = source.scan()
            planned = plan_cases((case for case, _ in source), keys)
        run = next_run(out, chosen)
        book = _Book(planned, run.finished(planned), on_progress)
        run.begin()
        if book.num_waiting:
            work = Work(source.base, chosen, run.origin, stripper, source.key)
            with ray_running(cpus_for(num_workers)), quiet_ray_data():
                for shard, items in _shards(source, keys, book, run, num_workers):
                    for row in _prepare_shard(shard, items, work, num_workers):
                        lease.check()
                        book.take(row)
                    shard.close()
        counts = _gather(planned, run, lease)
    return PreprocessSummary(
        counts.num_done, counts.num_refused, book.seconds, num_others=counts.num_others
    )


def _gather(planned: dict[str, Planned], run: Run, lease: Lease) -> Gathered:
    """Write the store's tables and end the run.

    Raises:
        StoreError: the store was lost to another session.
    """
    lease.renew()
    lease.check()
    counts = gather(run.root, planned, run.run_id)
    num_lost = len(planned) - counts.num_done - counts.num_refused
    if num_lost:
        raise StoreError(
            f"{num_lost} of {len(planned)} studies have no outcome: something else changed the "
            "output while the run went on.",
            remedy="Let one session alone work on it, and run the same command again.",
        )
    run.end(counts)
    return counts


class _Book:
    """What is finished by earlier sessions, and how far this one is."""

    def __init__(
        self,
        planned: dict[str, Planned],
        finished: dict[str, bool],
        on_progress: Callable[[Progress], None],
    ) -> None:
        self._planned, self._total, self._on_progress = planned, len(planned), on_progress
        self._refused = finished
        self._before = len(self._refused)
        self._num_refused = sum(self._refused.values())
        self._started = time.monotonic()
        self._report()

    @property
    def num_waiting(self) -> int:
        """Studies without an outcome."""
        return self._total - len(self._refused)

    @property
    def seconds(self) -> float:
        """Time since the start."""
        return time.monotonic() - self._started

    def is_waiting(self, case_id: str, key: str) -> bool:
        """Say whether a study has no outcome yet.

        Raises:
            ManifestError: it is not the case that was counted.
        """
        plan = self._planned.get(case_id)
        if plan is None or plan.work_key != key:
            raise ManifestError(
                "The manifest changed while the run went on.",
                remedy="Run the same command again; what is done stays.",
            )
        return case_id not in self._refused

    def take(self, row: Row) -> None:
        """Book one outcome and tell how far the run is."""
        case_id, bad = str(row["case_id"]), row["code"] is not None
        if case_id not in self._refused:
            self._refused[case_id] = bad
            self._num_refused += bad
        self._report()

    def _report(self) -> None:
        num_out = len(self._refused)
        rate = (num_out - self._before) / self.seconds if self.seconds > 0 else 0.0
        remaining = (self._total - num_out) / rate if rate > 0 else None
        self._on_progress(
            Progress(num_out - self._num_refused, self._num_refused, self._total, rate, remaining)
        )


def _with_defaults(preprocessing: PreprocessingSettings) -> Settings:
    return Settings().model_copy(update={"preprocessing": preprocessing})


def _shards(
    source: StudySource, keys: WorkKeys, book: _Book, run: Run, num_workers: int
) -> Iterator[tuple[Shard, list[Row]]]:
    """Cut what waits into shards, reading the manifest no further than that."""
    waiting: Iterator[Row] = (
        {
            "work_key": key,
            "case_json": case.model_dump_json(),
            "shown_json": shown.model_dump_json(),
        }
        for case, shown in source
        if book.is_waiting(case.case_id, key := keys.of(case))
    )
    size = max(run.settings.archive.shard_studies, _MIN_STUDIES_A_WORKER * num_workers)
    existing = shards_of(run.root)
    number = max((int(one.name[:5]) for one in existing), default=-1) + 1
    session = uuid.uuid4().hex[:8]
    while items := list(islice(waiting, size)):
        yield new_shard(run.root, number, session), items
        number += 1


def _prepare_shard(shard: Shard, items: list[Row], work: Work, num_workers: int) -> Iterator[Row]:
    """Yield the outcome of each study as soon as it is there, in any order.

    Raises:
        StoreError: a worker cannot write.
    """
    memory_bytes = work.settings.archive.worker_memory_mb * 1024**2
    num_actors = affordable_workers(min(num_workers, len(items)), memory_bytes=memory_bytes)
    ray.data.DataContext.get_current().raise_original_map_exception = True
    variables = storage_variables()
    dataset = ray.data.from_items(items, override_num_blocks=len(items)).map(
        StudyPreparer,  # type: ignore[arg-type]  # Ray's stubs know functions only
        fn_constructor_kwargs={"work": work, "shard": shard},
        compute=ray.data.ActorPoolStrategy(
            size=num_actors, max_tasks_in_flight_per_actor=_IN_FLIGHT
        ),
        num_cpus=1,
        memory=memory_bytes,
        runtime_env={"env_vars": variables} if variables else None,
    )
    try:
        yield from dataset.iter_rows()
    except RayTaskError as error:
        raise (error.cause if isinstance(error.cause, PirtaError) else error) from None
