"""Ray for a job, a demo or a service: joined where one is running, else started, kept quiet.

RAY_ADDRESS names a cluster to join. Without it a local Ray is started with *logical* CPUs: they
only say how much may run at once, and jobs need some to spare.
"""

from __future__ import annotations

import logging
import os
import re
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

import ray
from ray._private.node import Node

from pirta.errors import UnavailableError
from pirta.log import make_logger

# Ray Data hung where the workers took the last logical CPU.
_SPARE_CPUS = 2
_MIN_CPUS = 4

# What Ray raises, without a type for it, where a node was not up in 30 s. Its raylet ends itself if
# an agent of its own takes 15 s to start (github.com/ray-project/ray/issues/65983), as on a
# machine whose disk is cold; a second start finds in the page cache what the first one read.
_TOO_SLOW = ("timed out during startup", "Timed out waiting for file")
_STARTS = 2

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

    Raises:
        UnavailableError: a local Ray did not come up.
    """
    if ray.is_initialized():
        return False
    if os.environ.get("RAY_ADDRESS"):
        _init_ray("auto")
    else:
        start_local_ray(max(num_cpus, os.cpu_count() or 1))
    return True


def start_local_ray(num_cpus: int) -> None:
    """Start a Ray on this machine, and once more where the first start took too long.

    Raises:
        UnavailableError: neither start was done in the time that Ray gives it.
    """
    for attempt in range(1, _STARTS + 1):
        try:
            _init_ray("local", num_cpus)
        except Exception as error:  # Ray has no type for it
            if not any(words in str(error) for words in _TOO_SLOW):
                raise
            _end_half_started(error)
            make_logger().warning("ray was slow to start", attempt=attempt)
        else:
            return
    raise UnavailableError(
        f"Ray did not start on this machine, {_STARTS} times over.",
        remedy="Free CPU or memory, and try again; Ray's own logs tell more, raylet.err among them "
        "(/tmp/ray/session_latest/logs, or below RAY_TMPDIR).",
    )


def _init_ray(address: str, num_cpus: int | None = None) -> None:
    ray.init(
        address=address,
        num_cpus=num_cpus,
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.ERROR,  # a warning says that token authentication is on: it should
    )


def _end_half_started(error: Exception) -> None:
    """End the processes of a node that did not come up: Ray leaves them, and forgets the node."""
    for frame, _ in traceback.walk_tb(error.__traceback__):
        node = frame.f_locals.get("self")
        if isinstance(node, Node):
            node.kill_all_processes(check_alive=False, allow_graceful=False)


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
