"""A stage of the encoder's training as one record, and the one way to run it.

Stages differ in what is learnt, in which cases they draw from and in what their weights' manifest
says. The rest is `run_job`: is it finished already, where do the cases come from, drive the loop,
export the last checkpoint's weights.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from pirta.models.checkpoint import CheckpointManifest
from train_jobs.case_source import open_cases
from train_jobs.drive import drive
from train_jobs.job_folder import export, finished
from train_jobs.presets import LoopSettings
from train_jobs.training_pool import LoadCases, TrainingPool, locate
from train_jobs.worker import Worker


@dataclass(frozen=True)
class Origin:
    """What a finished stage's manifest has to name.

    Attributes:
        patients: that it learnt from; see `tuned_patients`.
    """

    run: dict[str, Any]
    data_sha256: str
    fingerprint: str
    metrics: dict[str, float]
    command: str
    patients: frozenset[str]


class LoadPool(Protocol):
    """How a stage gets the cases it draws from."""

    def __call__(self, store: str, guests: str | None, *, load: LoadCases | None) -> TrainingPool:
        """Return the cases; see `training_pool.load_training_pool`."""


@dataclass(frozen=True)
class EncoderJob:
    """One stage.

    Attributes:
        name: of the run in its folder; `python -m train_jobs.train_NAME` runs it.
        kind: of the checkpoint that comes out.
        loop: what each worker runs, from a config of JSON values.
        load_pool: reads the cases, and refuses what the stage cannot learn from.
        write: gets a checkpoint's files and an empty folder, fills it and writes the manifest.
        inputs: what the loop needs beside settings and stores: folders, by the option that
            names them on the command line; None where it was not given.
    """

    name: str
    kind: str
    settings: LoopSettings
    loop: Callable[[dict[str, Any], Worker], None]
    load_pool: LoadPool
    write: Callable[[Path, Path, Origin], CheckpointManifest]
    inputs: Mapping[str, str | None] = field(default_factory=dict)


@dataclass(frozen=True)
class JobPlace:
    """Where a stage runs, learns from and writes to.

    Attributes:
        store: prepared, the split "train" is learnt from.
        guests: a prepared store of normal brains that join the training cohort's.
        out: the run's folder; resumed if begun.
        with_ray: on Ray Train's workers; else in this process, without Ray.
        checkpoints: where they lie, any fsspec address; in `out` where None.
        show: gets a line of progress at a time; standard error where None.
    """

    store: str
    out: Path
    guests: str | None = None
    with_ray: bool = True
    checkpoints: str | None = None
    show: Callable[[str], None] | None = None


def run_job(job: EncoderJob, place: JobPlace) -> CheckpointManifest:
    """Run a stage, or go on with it, and return the manifest of OUT/weights.

    Raises:
        TrainingError: the folder holds another run, or training failed.
        ManifestError: a store cannot be trained on.
    """
    store, guests = locate(place.store), locate(place.guests) if place.guests else None
    known = finished(
        place.out,
        kind=job.kind,
        settings=job.settings,
        data_sha256=lambda: job.load_pool(store, guests, load=None).data_sha256,
    )
    if known:
        return known
    run = job.settings.model_dump(mode="json")
    with open_cases(store, guests, with_ray=place.with_ray) as source:
        pool = job.load_pool(store, guests, load=source.load)
        config = {
            "settings": run,
            "store": store,
            "guests": guests,
            "data_sha256": pool.data_sha256,
            "run_dir": str(place.out.resolve()),
            **job.inputs,
        }
        stored = drive(
            job.loop,
            config,
            settings=job.settings,
            run_dir=place.out,
            name=job.name,
            source=source,
            pool=pool,
            checkpoints=place.checkpoints,
            show=place.show,
        )
        data_sha256, fingerprint, patients = pool.data_sha256, pool.fingerprint, pool.patients

    def write(files: Path, folder: Path, figures: dict[str, float]) -> CheckpointManifest:
        command = _command(job, place)
        origin = Origin(run, data_sha256, fingerprint, figures, command, patients)
        return job.write(files, folder, origin)

    return export(place.out, stored, write)


def _command(job: EncoderJob, place: JobPlace) -> str:
    given = {"guests": place.guests, **job.inputs}
    options = "".join(f"--{name} {name.upper()} " for name, value in given.items() if value)
    return (
        f"python -m train_jobs.train_{job.name} --run {job.settings.name} --data STORE "
        f"{options}--out DIR"
    )
