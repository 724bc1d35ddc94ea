"""Where a run's cases come from: the store's files, or Ray Data where Ray drives the run.

`open_cases` starts Ray where it is wanted and reads the stores once; the driver looks at them
there too, to know what the run learns from. Without Ray nothing of it is imported.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pirta.cohort.prepared_store import PreparedCase
from train_jobs.training_pool import LoadCases, PoolCase, load_case

if TYPE_CHECKING:
    import ray.data


@dataclass(frozen=True)
class CaseSource:
    """How a run gets its cases.

    Attributes:
        with_ray: whether Ray drives the run.
        load: brings cases to the driver, and to the loop where it runs in the same process.
        datasets: for the workers, by name.
        names: of the datasets, by store.
    """

    with_ray: bool
    load: LoadCases
    datasets: Mapping[str, ray.data.Dataset] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)


class RememberedCases:
    """Reads cases from the store's files, each once however often it is asked for."""

    def __init__(self) -> None:
        self._known: dict[str, PoolCase] = {}

    def __call__(self, _: str, rows: Sequence[PreparedCase]) -> Iterator[PoolCase]:
        """Yield the cases of these rows."""
        for row in rows:
            if row.array_uri not in self._known:
                self._known[row.array_uri] = load_case(row)
            yield self._known[row.array_uri]


@contextmanager
def open_cases(store: str, guests: str | None, *, with_ray: bool) -> Iterator[CaseSource]:
    """Give the source of a run's cases; a Ray that was started for it ends with the block.

    Raises:
        ManifestError: a store cannot be used.
    """
    if not with_ray:
        yield CaseSource(with_ray=False, load=RememberedCases())
        return
    from pirta.pipelines.local_ray import ray_running
    from train_jobs.launch import LOGICAL_CPUS
    from train_jobs.ray_cases import GUESTS_DATASET, STORE_DATASET, RayCases, case_dataset

    with ray_running(LOGICAL_CPUS):
        names = {store: STORE_DATASET} | ({guests: GUESTS_DATASET} if guests else {})
        datasets = {name: case_dataset(address) for address, name in names.items()}
        load = RayCases({address: datasets[name] for address, name in names.items()})
        yield CaseSource(with_ray=True, load=load, datasets=datasets, names=names)
