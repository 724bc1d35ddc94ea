"""A prepared store's cases through Ray Data: read once by the cluster, seen by every worker.

Tasks read and check the arrays in parallel, and what they made stays in Ray's object store: each
node holds it once, and workers of a node look at the same memory without a copy. The order of the
cases is that of the store's table, so a batch is the same on however many workers.

Limits: the pool has to fit the object store of every node that trains (3 MB a case; Ray spills
beyond that to disk and slows down). There is no way yet to stream a store that is larger.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import ray.data
from numpy.typing import NDArray

from pirta.cohort.prepared_store import PreparedCase, read_prepared
from pirta.contracts.study import CHANNELS, GRID_SHAPE
from pirta.errors import ManifestError
from pirta.pipelines.local_ray import quiet_ray_data
from train_jobs.training_pool import PoolCase, load_case

STORE_DATASET = "store"
GUESTS_DATASET = "guests"

_CASES_A_TASK = 16
_SPLITS = ("train", "val")


class ArrowBatches(Protocol):
    """A `ray.data.Dataset` or one worker's `DataIterator`."""

    def iter_batches(self, *, batch_size: int | None, batch_format: str) -> Any:
        """Iterate over Arrow tables."""


def case_dataset(store: str) -> ray.data.Dataset:
    """Return the store's training and held-out cases, read and checked, in Ray's memory.

    Raises:
        ManifestError: the store cannot be read, or arrays of it are missing, damaged or hold
            values that are no numbers; says how many.
    """
    rows = [row for row in read_prepared(store) if row.case.split in _SPLITS]
    if not rows:
        raise ManifestError(
            f"The prepared store {store} has no case in the splits {' and '.join(_SPLITS)}.",
            remedy="Make it from a training cohort, or guests with `pirta cohort hosts`.",
        )
    # The rows themselves go with the function: a dataset of a few paths would be read twice.
    with quiet_ray_data():
        dataset: ray.data.Dataset = (
            ray.data.range(len(rows), override_num_blocks=-(-len(rows) // _CASES_A_TASK))
            .map(_Loader(rows))
            .materialize()
        )
    _check(dataset, store, len(rows))
    return dataset


class RayCases:
    """Loads cases from datasets instead of files; see `training_pool.LoadCases`."""

    def __init__(self, by_store: Mapping[str, ArrowBatches]) -> None:
        self._by_store = by_store
        self._tables: dict[str, dict[str, tuple[pa.Table, int]]] = {}

    def __call__(self, store: str, rows: Sequence[PreparedCase]) -> Iterator[PoolCase]:
        """Yield the cases of these rows, their arrays in Ray's memory."""
        places = self._places(store)
        for row in rows:
            table, place = places[row.case.case_id]
            volume = _array(table, "volume", place, np.float16, (len(CHANNELS), *GRID_SHAPE))
            assert volume is not None
            yield PoolCase(
                case_id=row.case.case_id,
                site=row.case.site,
                label=row.case.label,
                finding=row.case.finding,
                volume_CXYZ=volume,
                mask_XYZ=_array(table, "mask", place, np.uint8, GRID_SHAPE),
                territory_XYZ=_array(table, "territory", place, np.uint8, GRID_SHAPE),
            )

    def _places(self, store: str) -> dict[str, tuple[pa.Table, int]]:
        if store not in self._tables:
            batches = self._by_store[store].iter_batches(batch_size=None, batch_format="pyarrow")
            self._tables[store] = {
                case_id: (table, place)
                for table in batches
                for place, case_id in enumerate(table["case_id"].to_pylist())
            }
        return self._tables[store]


class _Loader:
    """Reads the arrays of one case; what is wrong with them is a column, not a failed task."""

    def __init__(self, rows: Sequence[PreparedCase]) -> None:
        self._rows = list(rows)

    def __call__(self, item: dict[str, Any]) -> dict[str, Any]:
        row = self._rows[int(item["id"])]
        found: dict[str, Any] = {"case_id": row.case.case_id, "problem": ""}
        try:
            case = load_case(row)
        except ManifestError as error:
            return found | {"problem": error.message, "volume": b"", "mask": b"", "territory": b""}
        return found | {
            "volume": case.volume_CXYZ.tobytes(),
            "mask": b"" if case.mask_XYZ is None else case.mask_XYZ.tobytes(),
            "territory": b"" if case.territory_XYZ is None else case.territory_XYZ.tobytes(),
        }


def _check(dataset: ArrowBatches, store: str, num_cases: int) -> None:
    problems = [
        problem
        for table in dataset.iter_batches(batch_size=None, batch_format="pyarrow")
        for problem in table["problem"].to_pylist()
        if problem
    ]
    if problems:
        raise ManifestError(
            f"{len(problems)} of {num_cases} cases of the prepared store {store} cannot be used. "
            f"The first: {problems[0]}",
            remedy="Run `pirta preprocess` for that folder again.",
        )


def _array(
    table: pa.Table, column: str, place: int, dtype: type[np.generic], shape: tuple[int, ...]
) -> NDArray[Any] | None:
    """Look at a cell's bytes as an array, without a copy; None where the cell is empty."""
    buffer = table[column][place].as_buffer()
    return np.frombuffer(buffer, dtype).reshape(shape) if buffer.size else None
