"""Start a training loop on Ray Train, or go on with it where it was killed.

Every job goes through `launch`: workers, restarts, checkpoints and resume are the same on two
cores and on a GPU cluster, only the numbers differ. The loop is a plain function of a dict and
reports with `ray.train.report`, every rank equally often. The writer's loops keep their checkpoints
in Ray's list, the encoder's in a `CheckpointStore` (`drive`).

A run lives in `run_dir`: `run.json` (its settings), `progress.jsonl`, and Ray's own folder
`<name>/`. A folder holds one run: other settings are refused, and nothing
is ever deleted but checkpoints older than the last `num_to_keep` of this run.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pirta.errors import PirtaError, TrainingError
from pirta.pipelines.local_ray import ray_running, storage_variables
from train_jobs.progress import ProgressFollower, show_on_stderr
from train_jobs.run_folder import claim_run_dir

if TYPE_CHECKING:
    import ray.data
    from ray.train import Result

LOGICAL_CPUS = 4  # the controller and the workers need room even on a two-core machine
SNAPSHOT_NAME = "checkpoint_manager_snapshot.json"

TrainLoop = Callable[[dict[str, Any]], Any]


def launch(
    train_loop: TrainLoop,
    config: dict[str, Any],
    *,
    run_dir: Path,
    name: str,
    num_workers: int | tuple[int, int],
    use_gpu: bool,
    resume: bool,
    cpus_per_worker: int = 1,
    num_to_keep: int = 2,
    max_failures: int = 3,
    datasets: Mapping[str, ray.data.Dataset] | None = None,
    show: Callable[[str], None] | None = None,
) -> Result:
    """Run `train_loop(config)` on every worker until it ends, and return Ray Train's result.

    A worker that dies is replaced, at most `max_failures` times, and goes on from the last
    complete checkpoint. When the driver died, the same call with `resume=True` does the same.

    Args:
        config: what the loop gets, JSON values only: it is what tells two runs apart.
        num_workers: a number, or (fewest, most) for an elastic run.
        resume: go on where the folder holds this run already; without it, that is an error.
        datasets: what each worker sees whole, with `ray.train.get_dataset_shard(name)`.
        show: gets a line of progress at a time; standard error where None.

    Raises:
        TrainingError: the folder holds another run, or holds this one and `resume` is off, or
            training failed for good.
    """
    # `ray.train` exports these too, but there type checkers see the first version's signatures.
    from ray.train import DataConfig
    from ray.train.torch import TorchConfig
    from ray.train.v2.api.config import CheckpointConfig, FailureConfig, RunConfig, ScalingConfig
    from ray.train.v2.api.exceptions import TrainingFailedError
    from ray.train.v2.torch.torch_trainer import TorchTrainer

    claim_run_dir(run_dir, config, name=name, resume=resume)
    _check_snapshot(run_dir / name / SNAPSHOT_NAME)
    resources = {"CPU": cpus_per_worker, **({"GPU": 1} if use_gpu else {})}
    with ray_running(LOGICAL_CPUS), ProgressFollower(run_dir, show or show_on_stderr):
        trainer = TorchTrainer(
            train_loop,
            train_loop_config=config,
            datasets=dict(datasets or {}),
            dataset_config=DataConfig(datasets_to_split=[]),
            torch_config=TorchConfig(backend="nccl" if use_gpu else "gloo"),
            scaling_config=ScalingConfig(
                num_workers=num_workers, use_gpu=use_gpu, resources_per_worker=resources
            ),
            run_config=RunConfig(
                name=name,
                storage_path=str(run_dir.resolve()),
                failure_config=FailureConfig(max_failures=max_failures),
                checkpoint_config=CheckpointConfig(num_to_keep=num_to_keep),
                worker_runtime_env={"env_vars": _environment()},
            ),
        )
        try:
            return trainer.fit()
        except TrainingFailedError as error:
            raise TrainingError(
                f"Training '{name}' in {run_dir} failed: {_reason(error)}",
                remedy="Correct the cause and run the same command: it resumes.",
            ) from error


def _check_snapshot(path: Path) -> None:
    """Ray writes its list of checkpoints in place: a kill in that instant leaves half a file."""
    if not path.exists():
        return
    try:
        json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        raise TrainingError(
            f"Ray's list of checkpoints {path} is cut short.",
            remedy="Remove that file and repeat the command: training starts again from step 0.",
        ) from None


def _environment() -> dict[str, str]:
    return {"PYTHONPATH": _source_roots(), **storage_variables()}


def _source_roots() -> str:
    """Where this project's packages lie, for workers that start without an installed copy."""
    import pirta

    assert pirta.__file__ is not None
    roots = [Path(pirta.__file__).parents[1], Path(__file__).parents[1]]
    known = [part for part in os.environ.get("PYTHONPATH", "").split(os.pathsep) if part]
    return os.pathsep.join(dict.fromkeys([*(str(root) for root in roots), *known]))


def _reason(error: BaseException) -> str:
    """Return what one of our own errors said on a worker, or the last line of Ray's report."""
    for failure in getattr(error, "worker_failures", {}).values():
        cause: BaseException | None = getattr(failure, "_base_exc", failure)
        while cause is not None:
            if isinstance(cause, PirtaError):
                return cause.message
            cause = cause.__cause__
    return _last_line(error)


def _last_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
