"""Ray for a job, a demo or a service: joined where one is running, else started, kept quiet.

RAY_ADDRESS names a cluster to join. Without it a local Ray is started with *logical* CPUs: they
only say how much may run at once, and jobs need some to spare.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager

import ray

# Ray Data hung where the workers took the last logical CPU.
_SPARE_CPUS = 2
_MIN_CPUS = 4

_STORAGE_PREFIXES = ("AWS_ENDPOINT_URL", "AWS_REGION", "AWS_DEFAULT_REGION", "FSSPEC_")
_SECRET = re.compile(r"KEY|SECRET|TOKEN|PASSWORD", re.IGNORECASE)


def cpus_for(num_workers: int) -> int:
    """Return the logical CPUs that a job of so many workers needs."""
    return max(_MIN_CPUS, num_workers + _SPARE_CPUS)


def affordable_workers(num_workers: int, *, memory_bytes: int) -> int:
    """Return how many workers of one CPU the cluster carries: more would wait for ever."""
    resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    by_cpu = int(resources.get("CPU", 1))
    by_memory = int(resources.get("memory", 0) // memory_bytes)
    return max(1, min(num_workers, by_cpu, by_memory))


def start_ray(num_cpus: int) -> bool:
    """Join the cluster of RAY_ADDRESS, or start a local Ray; False where one runs already.

    Who gets True ends it with `ray.shutdown()`.
    """
    if ray.is_initialized():
        return False
    joins = bool(os.environ.get("RAY_ADDRESS"))
    ray.init(
        address="auto" if joins else "local",
        num_cpus=None if joins else max(num_cpus, os.cpu_count() or 1),
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.ERROR,  # a warning says that token authentication is on: it should
    )
    return True


@contextmanager
def ray_running(num_cpus: int) -> Iterator[None]:
    """Use the Ray that is there, or have one until the block ends."""
    started = start_ray(num_cpus)
    try:
        yield
    finally:
        if started:
            ray.shutdown()


def storage_variables() -> dict[str, str]:
    """Return the variables that say where an object store answers, for workers of a cluster.

    Credentials are not among them: a cluster's nodes have their own.
    """
    return {
        name: value
        for name, value in os.environ.items()
        if name.startswith(_STORAGE_PREFIXES) and not _SECRET.search(name)
    }


@contextmanager
def quiet_ray_data() -> Iterator[None]:
    """Keep Ray Data's bars and plans off the terminal: the caller draws its own progress."""
    context = ray.data.DataContext.get_current()
    logger = logging.getLogger("ray.data")
    before = (context.enable_progress_bars, context.print_on_execution_start, logger.level)
    context.enable_progress_bars = context.print_on_execution_start = False
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        context.enable_progress_bars, context.print_on_execution_start = before[:2]
        logger.setLevel(before[2])
