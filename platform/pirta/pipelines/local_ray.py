"""Ray for a job that runs by itself: started where none is running, and kept quiet."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import ray

# Ray Data hung where the workers took the last logical CPU.
_SPARE_CPUS = 2
_MIN_CPUS = 4


@contextmanager
def ray_running(num_workers: int) -> Iterator[None]:
    """Use the Ray that is there, or start one and stop it again."""
    if ray.is_initialized():
        yield
        return
    ray.init(
        num_cpus=max(_MIN_CPUS, num_workers + _SPARE_CPUS),
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.WARNING,
    )
    try:
        yield
    finally:
        ray.shutdown()


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
