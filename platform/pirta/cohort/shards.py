"""The shards of a store while a run fills them: each study is committed by itself.

    run.json                        the run: id, state (open, ended), settings, provenance
    shards/00012-SESSION/           up to 256 studies, by one process that drove the run
        arrays/ masks/ territories/
        rows/<case_id>.json         a study's outcome, written after its arrays: it is done
        attempts/<case_id>.<n>      a worker began with it; the process that died left no row
        studies.parquet, dead_letter.parquet    the rows, when the shard is closed

A row exists whole or not at all, and a row means that its arrays are there: a process may be
killed between any two steps. A shard belongs to one session, so two runs at once, or the last
workers of a dead one, never write the same file. Closing the run gathers the shards' rows into
the store's tables, each case once, and drops what no row names. The store is the union of all
manifests that were run into it: a row gives way to a newer outcome of its own case only.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from pirta.cohort.prepared_rows import REFUSED_SCHEMA, STUDY_SCHEMA, Row
from pirta.cohort.prepared_store import DEAD_LETTER, STUDIES, read_rows, write_rows
from pirta.cohort.store_files import (
    exists,
    join,
    names_in,
    read_all,
    read_whole,
    remove,
    whole_file,
    write_whole,
)
from pirta.errors import ManifestError, StoreError

RUN = "run.json"
SHARDS = "shards"


@dataclass(frozen=True)
class Shard:
    """One shard: `root` is the store's, `name` the folder's below `shards/`."""

    root: str
    name: str

    @property
    def folder(self) -> str:
        """The shard's folder, relative to the root."""
        return join(SHARDS, self.name)

    @property
    def path(self) -> str:
        """The shard's folder, to open."""
        return join(self.root, self.folder)

    def read_row(self, case_id: str) -> Row | None:
        """Return a study's committed outcome, None where there is none."""
        data = read_whole(join(self.path, "rows", f"{case_id}.json"))
        return None if data is None else _parse(self.root, data)

    def commit_row(self, row: Row) -> None:
        """Note a study's outcome: from now on it is done.

        Raises:
            StoreError: the row cannot be written, or the store has vanished.
        """
        if not exists(join(self.root, RUN)):
            raise StoreError(
                "The output has vanished while the run went on.",
                remedy="Make it reachable again, then run the same command.",
            )
        text = json.dumps(row, ensure_ascii=False)
        write_whole(join(self.path, "rows", f"{row['case_id']}.json"), text.encode())

    def begin_attempt(self, case_id: str, note: str) -> int:
        """Note that a worker begins with a study, and return which attempt this is, from 1."""
        attempt = 1
        while exists(join(self.path, "attempts", f"{case_id}.{attempt}")):
            attempt += 1
        write_whole(join(self.path, "attempts", f"{case_id}.{attempt}"), note.encode())
        return attempt

    def is_open(self) -> bool:
        """Say whether the shard's rows still lie as single files, or an attempt is noted."""
        return bool({"rows", "attempts"} & set(names_in(self.path)))

    def close(self) -> list[Row]:
        """Put the committed rows into the shard's tables, and return them all.

        The last worker of a session that was killed may commit while, or after, another session
        closes its shard, and find the array that it wrote before dropped: a row without its
        arrays does not count.
        """
        rows = [*self.closed_rows(), *self._committed_rows()]
        there = self._array_uris()
        by_case = {str(row["case_id"]): row for row in rows if _named(row) <= there}
        rows = [by_case[case_id] for case_id in sorted(by_case)]
        self._write(rows)
        self._drop_arrays(rows)  # of studies that were in hand when a session was cut off
        remove(join(self.path, "rows"))
        remove(join(self.path, "attempts"))
        return rows

    def closed_rows(self) -> list[Row]:
        """Return the rows of the shard's tables: prepared and refused."""
        prepared = read_rows(join(self.path, STUDIES), STUDY_SCHEMA) or []
        refused = read_rows(join(self.path, DEAD_LETTER), REFUSED_SCHEMA) or []
        return [*({**row, "code": None} for row in prepared), *refused]

    def keep_only(self, rows: list[Row]) -> None:
        """Drop the other rows of the shard with their arrays; the shard where none is left."""
        if not rows:
            remove(self.path)
            return
        self._write(rows)
        self._drop_arrays(rows)

    def _drop_arrays(self, rows: list[Row]) -> None:
        named = set().union(*(_named(row) for row in rows))
        for uri in sorted(self._array_uris() - named):
            remove(join(self.root, uri))

    def _array_uris(self) -> set[str]:
        return {
            join(self.folder, folder, name)
            for folder in _ARRAYS
            for name in names_in(join(self.path, folder))
        }

    def _committed_rows(self) -> list[Row]:
        found = read_all(join(self.path, "rows"), suffix=".json")
        return [_parse(self.root, data) for data in found]

    def _write(self, rows: list[Row]) -> None:
        refused = [row for row in rows if row["code"] is not None]
        write_rows(join(self.path, DEAD_LETTER), refused, REFUSED_SCHEMA)
        prepared = [row for row in rows if row["code"] is None]
        write_rows(join(self.path, STUDIES), prepared, STUDY_SCHEMA)


_ARRAYS = {"arrays": "array_uri", "masks": "mask_uri", "territories": "territory_uri"}


def _named(row: Row) -> set[str]:
    return {str(row[kind]) for kind in _ARRAYS.values() if row.get(kind)}


def shards_of(root: str) -> list[Shard]:
    """Return a store's shards, the oldest first."""
    return [Shard(root, name) for name in names_in(join(root, SHARDS)) if name[:5].isdigit()]


def new_shard(root: str, number: int, session: str) -> Shard:
    """Return the shard of this number; its folder appears with its first file."""
    return Shard(root, f"{number:05d}-{session}")


def standing_rows(shard: Shard, run_id: str) -> Iterator[Row]:
    """Yield the rows of a closed shard whose outcome stands: a refusal does within its run only."""
    for row in shard.closed_rows():
        if row["code"] is None or row["run_id"] == run_id:
            yield row


def read_run(root: str) -> dict[str, object] | None:
    """Return the store's run record, None where no run has begun.

    Raises:
        ManifestError: it is damaged.
    """
    data = read_whole(join(root, RUN))
    if data is None:
        return None
    try:
        record = json.loads(data)
    except ValueError:
        record = None
    if not isinstance(record, dict):
        raise _damaged(root)
    return record


def write_run(root: str, record: Mapping[str, object]) -> None:
    """Write the store's run record."""
    write_whole(join(root, RUN), json.dumps(record, indent=2, ensure_ascii=False).encode())


class Planned(NamedTuple):
    """A case of the manifest: its work key, and its place in the table."""

    work_key: str
    position: int


class Gathered(NamedTuple):
    """How many cases the tables hold: the manifest's, and those of earlier manifests."""

    num_done: int
    num_refused: int
    num_others: int


def gather(root: str, planned: Mapping[str, Planned], run_id: str) -> Gathered:
    """Write the store's tables from its closed shards, and return how many cases they hold.

    Args:
        planned: the manifest's cases by id. Their rows with another work key are dropped; cases
            that are not in it keep their newest row, after the manifest's.
        run_id: refusals of other runs are dropped where their studies were tried anew.
    """
    choice = _Choice(planned, run_id)
    kept: dict[str, set[str]] = {}
    with (
        whole_file(join(root, STUDIES)) as studies,  # the last to appear: then all is there
        whole_file(join(root, DEAD_LETTER)) as letters,
        pq.ParquetWriter(letters, REFUSED_SCHEMA) as refused,
        pq.ParquetWriter(studies, STUDY_SCHEMA) as prepared,
    ):
        for shard, rows in _newest_first(root):
            chosen = [placed for row in rows if (placed := choice.place(row)) is not None]
            if len(chosen) < len(rows):
                kept[shard.name] = {str(row["case_id"]) for row in chosen}
            for writer, schema, is_refusal in (
                (prepared, STUDY_SCHEMA, False),
                (refused, REFUSED_SCHEMA, True),
            ):
                part = [row for row in chosen if (row["code"] is not None) == is_refusal]
                if part:
                    writer.write_table(pa.Table.from_pylist(part, schema=schema))
    _drop_the_rest(root, kept)
    return choice.counts()


class _Choice:
    """Which rows count, when they come newest first, and their places in the tables."""

    def __init__(self, planned: Mapping[str, Planned], run_id: str) -> None:
        self._planned, self._run_id = planned, run_id
        self._seen: set[str] = set()
        self._num_done = self._num_refused = self._num_others = 0

    def place(self, row: Row) -> Row | None:
        """Return the row with its position, None where it does not count."""
        case_id, is_refusal = str(row["case_id"]), row["code"] is not None
        if case_id in self._seen:
            return None
        plan = self._planned.get(case_id)
        if plan is None:
            position = len(self._planned) + self._num_others
            self._num_others += 1
        else:
            is_stale = is_refusal and row["run_id"] != self._run_id
            if is_stale or row["work_key"] != plan.work_key:
                return None
            position = plan.position
            self._num_done += not is_refusal
            self._num_refused += is_refusal
        self._seen.add(case_id)
        return {**row, "position": position}

    def counts(self) -> Gathered:
        """Return how many rows were placed."""
        return Gathered(self._num_done, self._num_refused, self._num_others)


def _newest_first(root: str) -> Iterator[tuple[Shard, list[Row]]]:
    for shard in reversed(shards_of(root)):
        # The last workers of a session whose driver was killed may have committed since.
        yield shard, shard.close() if shard.is_open() else shard.closed_rows()


def _drop_the_rest(root: str, kept: Mapping[str, set[str]]) -> None:
    for name, case_ids in kept.items():
        shard = Shard(root, name)
        shard.keep_only([row for row in shard.closed_rows() if str(row["case_id"]) in case_ids])


def _parse(root: str, data: bytes) -> Row:
    try:
        row = json.loads(data)
    except ValueError:
        raise _damaged(root) from None
    if not isinstance(row, dict):
        raise _damaged(root)
    return row


def _damaged(root: str) -> ManifestError:
    return ManifestError(
        f"A file of {root}'s run is damaged, or from another version.",
        remedy="Delete the folder and run `pirta preprocess` again.",
    )
