"""The command line that the encoder's jobs share: a user's mistake is one line and exit code 2."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from pirta.errors import PirtaError
from pirta.models.checkpoint import CheckpointManifest
from train_jobs.encoder_job import JobPlace


def place_of(args: argparse.Namespace) -> JobPlace:
    """Return what the shared options say."""
    return JobPlace(
        store=args.data,
        out=Path(args.out),
        guests=args.guests,
        with_ray=not args.without_ray,
        checkpoints=args.checkpoints,
    )


def job_main(
    description: str,
    run: Callable[[argparse.Namespace], CheckpointManifest],
    *,
    with_mae: bool = False,
) -> None:
    """Parse the arguments, run the job, and say what came of it."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--run", required=True, help="named run: demo, gpu, paper or tiny")
    parser.add_argument("--data", required=True, help="prepared store (pirta preprocess)")
    parser.add_argument(
        "--guests", default=None, help="prepared store of normals for fresh lesions"
    )
    parser.add_argument("--out", required=True, help="folder of the run; resumed if begun")
    parser.add_argument(
        "--without-ray", action="store_true", help="in this process, with torch alone"
    )
    parser.add_argument(
        "--checkpoints", default=None, help="fsspec address of the checkpoints (default: in OUT)"
    )
    if with_mae:
        parser.add_argument("--mae", default=None, help="weights folder of a finished MAE job")
    args = parser.parse_args()
    try:
        manifest = run(args)
    except PirtaError as error:
        sys.stderr.write(f"{error}\n")
        raise SystemExit(2) from None
    figures = ", ".join(f"{name} {value:.4g}" for name, value in manifest.metrics.items())
    sys.stdout.write(f"{args.out}/weights: {manifest.kind}, {figures}\n")
